package guard

import "net/netip"

// Banned says whether an address is banned whole, or with an identity that one there. It meets turn.Guard.
func (g *Guard) Banned(from netip.Addr, identity string) bool {
	now := g.now().UnixNano()
	switch {
	case g.free(g.cfg.Load(), from):
		return false
	case identity == "" && g.shut(from, now):
		g.counts.refuse(BannedAddress)
		return true
	case identity != "" && g.bans.holds(g.pair(from, identity), now):
		g.counts.refuse(BannedIdentity)
		return true
	}
	return false
}

// Wrong counts credentials that the relay did not take. The name of time-limited ones is an identity of its own: who shows old ones is
// not kept out with new ones, and who tries many names is known by that.
func (g *Guard) Wrong(from netip.Addr, identity, transport string) {
	g.wrong(from, identity, transport)
}
