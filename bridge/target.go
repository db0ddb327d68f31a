package bridge

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/wss"
)

// addr shortens signatures.
type addr = netip.Addr

// target is where one branch goes: a backend, or a browser by its binding.
type target struct {
	backend *sipside.Backend
	browser *wss.Conn
	binding location.Binding

	uri       string       // the Request-URI, where a 3xx named it; "": the caller's
	diversion []sip.Header // what the 3xx says of its doing

	// The caller's credentials, towards backends.
	credentials bool             // they go along
	issuer      *identity.Issuer // to this member: it issued their nonce; on its leg, where that is an INVITE's and free
	stale       bool             // their issuer cannot be asked: a challenge says stale=true
}

func (t target) peer() peer {
	if t.backend != nil {
		return t.backend
	}
	return t.browser
}

// backendName is "" for a browser.
func (t target) backendName() string {
	if t.backend == nil {
		return ""
	}
	return t.backend.Name()
}

// stage is a set of branches that run side by side; the next stage is tried when this one failed without a word of the callee.
type stage []target

// notRouted is why an INVITE has nowhere to go.
type notRouted struct {
	status int
	why    string
}

// targets are the stages of an INVITE: the pool's members one after another, or all live browsers of the callee at once.
func (b *Bridge) targets(in inbound, d route.Decision) ([]stage, *notRouted) {
	if d.To == route.Browsers {
		return b.browserTargets(in.req)
	}
	pool := b.with.Backends.Pool(d.To)
	if pool == nil {
		return nil, &notRouted{500, fmt.Sprintf("route %d: no pool or trunk %q", d.Rule, d.To)}
	}
	members := pool.Order(b.poolKey(in))
	if len(members) == 0 {
		return nil, &notRouted{480, fmt.Sprintf("no member of %q", d.To)}
	}
	if in.browser == nil {
		return stagesOf(members, target{}), nil
	}
	return b.backendStages(in, b.registrarFirst(in, members)), nil
}

// poolKey keeps the calls of one address of record where its REGISTER went.
func (b *Bridge) poolKey(in inbound) string {
	if in.browser == nil {
		return ""
	}
	return aorOf(in.req.From().Address)
}

// registrarFirst puts the member that registered the caller in front, for it knows the caller.
func (b *Bridge) registrarFirst(in inbound, members []*sipside.Backend) []*sipside.Backend {
	aor := aorOf(in.req.From().Address)
	for _, binding := range b.with.Store.ByFlow(in.browser.Flow()) {
		if binding.AOR != aor {
			continue
		}
		i := slices.IndexFunc(members, func(m *sipside.Backend) bool { return m.Name() == binding.Backend && m.Alive() })
		if i > 0 {
			first := members[i]
			members = append([]*sipside.Backend{first}, slices.Delete(slices.Clone(members), i, i+1)...)
		}
	}
	return members
}

// backendStages puts the issuer of the caller's nonce first: credentials go to nobody else. A caller whose issuer is dead or
// forgotten comes without them and is challenged anew with stale=true.
func (b *Bridge) backendStages(in inbound, members []*sipside.Backend) []stage {
	if in.identity != "" { // its credentials are for us alone
		return stagesOf(members, target{})
	}
	nonce := identity.NonceOf(in.req)
	if nonce == "" {
		return stagesOf(members, target{credentials: true})
	}
	rest := target{stale: true}
	by, known := b.with.Nonces.Claim(nonce)
	if !known {
		return stagesOf(members, rest)
	}
	issuer := b.with.Backends.Backend(by.Backend)
	if issuer == nil || !issuer.Alive() {
		return stagesOf(members, rest)
	}
	others := slices.DeleteFunc(slices.Clone(members), func(m *sipside.Backend) bool { return m == issuer })
	first := stage{{backend: issuer, credentials: true, issuer: &by}}
	return append([]stage{first}, stagesOf(others, rest)...)
}

func stagesOf(members []*sipside.Backend, like target) []stage {
	var out []stage
	for _, m := range members {
		t := like
		t.backend = m
		out = append(out, stage{t})
	}
	return out
}

// browserTargets finds the callee by the token of its binding, else by its address of record. A browser is never dialled: where
// every flow is gone the answer is 480 at once.
func (b *Bridge) browserTargets(req *sip.Request) ([]stage, *notRouted) {
	bindings := b.bindingsOf(req.Recipient)
	if len(bindings) == 0 {
		return nil, &notRouted{404, "no such user is registered here"}
	}
	all := b.reachable(bindings)
	if len(all) == 0 {
		return nil, &notRouted{480, "the browser's connection is gone"}
	}
	return []stage{all}, nil
}

// reachable are the targets of bindings: their live flows, and the backends behind which phones are. Of the flows of one
// instance the newest alone is tried (RFC 5626 §7).
func (b *Bridge) reachable(bindings []location.Binding) stage {
	var all stage
	tried := map[string]bool{}
	for _, binding := range bindings {
		var t target
		switch {
		case binding.Instance != "" && tried[binding.Instance]:
			continue
		case binding.Behind:
			t = target{backend: b.with.Backends.Backend(binding.Backend), binding: binding}
		default:
			t = target{browser: b.with.Browsers.Find(binding.Flow), binding: binding}
		}
		if t.backend != nil || t.browser != nil {
			all = append(all, t)
			tried[binding.Instance] = true
		}
	}
	return all
}

func (b *Bridge) bindingsOf(uri sip.Uri) []location.Binding {
	if binding, ok := b.with.Store.ByToken(uri.User); ok {
		return []location.Binding{binding}
	}
	if uri.UriParams != nil && uri.UriParams.Has("gr") {
		return b.registrar.byGRUU(uri)
	}
	found := b.with.Store.ByAOR(aorOf(uri))
	for _, domain := range b.cfg.Domains { // a PBX may dial our address instead
		if len(found) > 0 {
			return found
		}
		local := sip.Uri{User: uri.User, Host: domain}
		found = b.with.Store.ByAOR(aorOf(local))
	}
	return found
}

// signalling is where a leg's signalling comes from or goes to, for the learning of media addresses; zero where that is not known.
func (l *leg) signalling() addr {
	if l.browser() {
		return addr{}
	}
	if l.incoming != nil {
		if at, err := netip.ParseAddrPort(l.incoming.req.Source()); err == nil {
			return at.Addr().Unmap()
		}
	}
	_, hostPort, _ := strings.Cut(l.backend, "/")
	if at, err := netip.ParseAddrPort(hostPort); err == nil {
		return at.Addr()
	}
	return addr{}
}
