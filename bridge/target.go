package bridge

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// addr shortens signatures.
type addr = netip.Addr

// target is where one branch goes: a backend, or a browser by its binding.
type target struct {
	backend *sipside.Backend
	browser *wss.Conn
	binding location.Binding

	uri       string        // the Request-URI, where a 3xx named it or the route rewrites it; "": the caller's
	change    *route.Change // of what goes there; nil: none
	diversion []sip.Header  // what the 3xx says of its doing

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

// targets are the stages of a request: those of its route's targets one after another, and with fallback those of the next rules
// that match. Members that are dead or full come last.
func (b *Bridge) targets(in inbound, d route.Decision) ([]stage, *notRouted) {
	all, no := b.targetsOf(in, d)
	for q, more := d.Next(); more; q, more = d.Next() {
		d = b.with.Router.Route(q)
		if d.Reject != 0 || vouched(in, d) && in.identity == "" {
			break
		}
		next, _ := b.targetsOf(in, d)
		all = append(all, next...)
	}
	if len(all) == 0 {
		return nil, no
	}
	dead := func(s stage) bool { return s[0].backend != nil && (!s[0].backend.Alive() || b.isFull(s[0])) }
	living := slices.DeleteFunc(slices.Clone(all), dead)
	last := slices.DeleteFunc(all, func(s stage) bool { return !dead(s) })
	return b.credentialsFor(in, append(living, last...)), nil
}

// targetsOf are the stages of one rule: each target's members one after another, or all live browsers of the callee at once. Why
// there are none is what the first of them says.
func (b *Bridge) targetsOf(in inbound, d route.Decision) (all []stage, no *notRouted) {
	like := target{change: d.Change}
	uri, changed := rewritten(in.req.Recipient, d.Change)
	if changed {
		like.uri = uri.String()
	}
	for _, to := range d.Order() {
		stages, err := b.targetsAt(in, to, uri, like)
		all = append(all, stages...)
		if no == nil {
			no = err
		}
	}
	if len(all) == 0 && no == nil {
		no = &notRouted{404, "the route only registers"}
	}
	return all, no
}

// targetsAt are the stages of one target of a rule.
func (b *Bridge) targetsAt(in inbound, to string, uri sip.Uri, like target) ([]stage, *notRouted) {
	if to == route.Browsers {
		return b.browserTargets(uri, like)
	}
	pool := b.with.Backends.Pool(to)
	if pool == nil {
		return nil, &notRouted{500, fmt.Sprintf("no pool or trunk %q", to)}
	}
	members := pool.Order(in.ordering)
	if len(members) == 0 {
		return nil, &notRouted{480, fmt.Sprintf("no member of %q takes calls", to)}
	}
	if len(members) > 1 && !pool.SharedLocation() {
		members = registrarFirst(members, b.registrarsFor(in, uri))
	}
	stages := stagesOf(members, like)
	if pool.Parallel() && in.req.IsInvite() {
		stages = atOnce(stages)
	}
	return stages, nil
}

// ordering is what a pool's order looks at.
func (in inbound) ordering(by string) string {
	switch by {
	case sipside.ByCallID:
		return in.req.CallID().Value()
	case sipside.ByCaller:
		return aorOf(in.req.From().Address)
	case sipside.ByCallee:
		return aorOf(in.req.To().Address)
	case sipside.ByRequestURI:
		return transaction.URI(&in.req.Recipient)
	case sipside.BySource:
		if host, _, err := net.SplitHostPort(in.req.Source()); err == nil {
			return host
		}
	case sipside.ByUser:
		return cmp.Or(in.identity, identity.UserOf(in.req))
	}
	return ""
}

// atOnce puts the living members into one stage.
func atOnce(stages []stage) []stage {
	var together stage
	rest := slices.DeleteFunc(slices.Clone(stages), func(s stage) bool {
		alive := s[0].backend.Alive()
		if alive {
			together = append(together, s...)
		}
		return alive
	})
	if len(together) == 0 {
		return stages
	}
	return append([]stage{together}, rest...)
}

// registrarsFor names the members that know the user of a request: a browser's own, which asks for its password; else the callee.
func (b *Bridge) registrarsFor(in inbound, callee sip.Uri) (names []string) {
	var bindings []location.Binding
	aor := ""
	if in.browser != nil {
		bindings, aor = b.with.Store.ByFlow(in.browser.Flow()), aorOf(in.req.From().Address)
	} else {
		bindings = b.bindingsOf(callee)
	}
	for _, binding := range bindings {
		if binding.Backend != "" && !binding.Behind && (aor == "" || binding.AOR == aor) {
			names = append(names, binding.Backend)
		}
	}
	return names
}

// registrarFirst puts the members of these names in front, where they are ready.
func registrarFirst(members []*sipside.Backend, names []string) []*sipside.Backend {
	if len(names) == 0 {
		return members
	}
	var first, others []*sipside.Backend
	for _, m := range members {
		if slices.Contains(names, m.Name()) && m.Ready() {
			first = append(first, m)
		} else {
			others = append(others, m)
		}
	}
	return append(first, others...)
}

// credentialsFor says at which targets a browser's credentials go along: where there is a nonce at its issuer alone, which then comes
// first. A caller whose issuer is dead or forgotten comes without them and is challenged anew with stale=true.
func (b *Bridge) credentialsFor(in inbound, stages []stage) []stage {
	backend := slices.IndexFunc(stages, func(s stage) bool { return s[0].backend != nil })
	if in.browser == nil || in.identity != "" || backend < 0 { // its credentials are nobody's, or for us alone
		return stages
	}
	nonce := identity.NonceOf(in.req)
	each := func(do func(t *target)) {
		for _, s := range stages {
			for i := range s {
				do(&s[i])
			}
		}
	}
	if nonce == "" {
		each(func(t *target) { t.credentials = t.backend != nil })
		return stages
	}
	each(func(t *target) { t.stale = t.backend != nil })
	by, known := b.with.Nonces.Claim(nonce)
	if !known {
		return stages
	}
	issuer := b.with.Backends.Backend(by.Backend)
	if issuer == nil || !issuer.Ready() {
		return stages
	}
	first := target{backend: issuer, change: stages[backend][0].change, uri: stages[backend][0].uri}
	for i, s := range stages {
		at := slices.IndexFunc(s, func(t target) bool { return t.backend == issuer })
		if at < 0 {
			continue
		}
		first = s[at]
		if stages[i] = slices.Delete(s, at, at+1); len(stages[i]) == 0 {
			stages = slices.Delete(stages, i, i+1)
		}
		break
	}
	first.credentials, first.issuer, first.stale = true, &by, false
	return append([]stage{{first}}, stages...)
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
func (b *Bridge) browserTargets(uri sip.Uri, like target) ([]stage, *notRouted) {
	bindings := b.bindingsOf(uri)
	if len(bindings) == 0 {
		return nil, &notRouted{404, "no such user is registered here"}
	}
	all := b.reachable(bindings, like)
	if len(all) == 0 {
		return nil, &notRouted{480, "the browser's connection is gone"}
	}
	return []stage{all}, nil
}

// reachable are the targets of bindings: their live flows, and the backends behind which phones are. Of the flows of one
// instance the newest alone is tried (RFC 5626 §7).
func (b *Bridge) reachable(bindings []location.Binding, like target) stage {
	var all stage
	tried := map[string]bool{}
	for _, binding := range bindings {
		t := like
		t.binding = binding
		switch {
		case binding.Instance != "" && tried[binding.Instance]:
			continue
		case binding.Behind:
			t.backend = b.with.Backends.Backend(binding.Backend)
		default:
			t.browser = b.with.Browsers.Find(binding.Flow)
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
	for _, domain := range b.peers.Load().domains { // a PBX may dial our address instead
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
