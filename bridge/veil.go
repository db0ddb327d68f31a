package bridge

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/hiding"
	"tandem/sipside"
	"tandem/wss"
)

// Topology hiding by role: browsers, and backends whose Peering says Hide, are outside. Nothing that leaves for them names what is
// behind the gateway: other backends, its own addresses on the other side, private networks. Pools are inside by default.

// veilFor is what hides the other side's network from a peer; nil from one inside. aor is a browser's own address of record.
func (b *Bridge) veilFor(p peer, aor string) *hiding.Veil {
	var v *hiding.Veil
	ours, pool := "", ""
	if member, ok := p.(*sipside.Backend); ok {
		peering := b.peering(member.Name())
		if !peering.Hide {
			return nil
		}
		ours, pool = member.Contact("").Host, member.Pool()
		v = &hiding.Veil{Domain: ours, Strip: peering.Strip}
		if written := peering.Presentation; written != nil {
			v.Domain = cmp.Or(written.Caller.Domain, written.Domain, ours)
			v.Number = written.Numbers.Written
		}
	} else {
		v = &hiding.Veil{Strip: hiding.Vendors()}
		if browser, ok := p.(*wss.Conn); ok {
			ours = browser.Contact("").Host
		}
	}
	if v.Domain == "" {
		v.Domain = cmp.Or(hostOf(aor), hiding.Nowhere)
	}
	v.Hides = func(host string) bool { return !sameHost(host)(v.Domain) && b.hidden(host, pool, ours) }
	return v
}

func sameHost(host string) func(string) bool {
	return func(other string) bool { return strings.EqualFold(strings.Trim(other, "[]"), host) }
}

// hidden says whether a host is one of the networks behind the gateway, for a peer of a pool ("": a browser) that knows us as ours:
// a backend of another pool, ourselves as others know us, or an address or name that means nothing outside.
func (b *Bridge) hidden(host, pool, ours string) bool {
	if slices.ContainsFunc(b.peers.Load().domains, sameHost(host)) {
		return false
	}
	of, known := b.with.Backends.PoolOf(host)
	switch {
	case of != "":
		return of != pool
	case sameHost(host)(ours):
		return false
	case known:
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return private(addr.Unmap())
	}
	for _, inner := range []string{".local", ".internal", ".intern", ".lan", ".localdomain", ".home.arpa"} {
		if strings.HasSuffix(host, inner) {
			return true
		}
	}
	return false
}

// shared is the address space behind carriers' NAT.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// private says whether an address means nothing outside its own network.
func private(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || shared.Contains(addr)
}

// veil is what hides the far side from the leg's peer.
func (l *leg) veil() *hiding.Veil { return l.call.bridge.veilFor(l.peer, l.aor) }

// veil is what hides the other side from who sent the request.
func (b *Bridge) veilOfSender(in inbound) *hiding.Veil {
	return b.veilFor(in.peer(), aorOf(in.tx.Request().From().Address))
}

func (b *Bridge) veilOf(t target) *hiding.Veil { return b.veilFor(t.peer(), t.binding.AOR) }

// veiled is the dialog of a request on its way to a target, without hosts that are not the target's to know.
func (b *Bridge) veiled(in inbound, t target, d Dialog) Dialog {
	v := b.veilOf(t)
	if v == nil {
		return d
	}
	d.LocalName, d.RemoteName = v.Text(d.LocalName), v.Text(d.RemoteName)
	d.LocalURI = v.URI(d.LocalURI)
	if t.backend == nil {
		if our := in.backend; our != nil && t.binding.Token != "" && in.req.To().Address.User == t.binding.Token {
			d.RemoteURI = t.binding.AOR // not our Contact towards the registrar
		}
		d.RemoteURI = v.URI(d.RemoteURI)
		return d
	}
	if t.credentials || t.binding.Contact != "" {
		return d // digest covers the Request-URI; a phone's own Contact
	}
	theirs := v.Under(t.backend.Host())
	d.Target, d.RemoteURI = theirs.URI(d.Target), theirs.URI(d.RemoteURI)
	return d
}

// through is a refusal as the peer behind the veil may see it.
func (r refusal) through(v *hiding.Veil) refusal {
	r.phrase, r.reason, r.headers = v.Text(r.phrase), v.Reasons(r.reason), v.Headers(r.headers)
	return r
}

// through is a reply as the peer behind the veil may see it, but for headers: those that cross come so.
func (r reply) through(v *hiding.Veil) reply {
	if v == nil {
		return r
	}
	r.reason, r.why = v.Text(r.reason), v.Text(r.why)
	for i, h := range r.headers {
		if strings.EqualFold(h.Name(), "Reason") {
			r.headers = slices.Clone(r.headers)
			r.headers[i] = sip.NewHeader("Reason", v.Reasons(h.Value()))
		}
	}
	return r
}
