package guard

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// trustLife is how long good credentials speak for their identity at its address.
const trustLife = 7 * 24 * time.Hour

// patience is how many times as many failures are borne of who is trusted: a phone with an old password, a PBX that forgot all of
// its users.
const patience = 5

// proved notes that an identity's credentials were good at an address; "" where it is not known whose they were.
func (g *Guard) proved(from netip.Addr, identity string) {
	now := g.now()
	g.trust(from, "", now, now.Add(trustLife))
	if identity != "" {
		g.trust(from, identity, now, now.Add(trustLife))
		g.failed.forget(g.pair(from, identity))
	}
}

// wrong counts credentials of an identity that were wrong. Many from one address ban the identity there. The first failure of
// an identity that is not trusted there counts for the address, and so many identities ban it. Whose source may be forged has
// tables of its own, and bans only where the configuration says so.
func (g *Guard) wrong(from netip.Addr, identity, transport string) {
	cfg := g.cfg.Load()
	if g.free(cfg, from) {
		return
	}
	g.counts.failures.Add(1)
	g.say("failure", from, transport, identity)
	table := g.failed
	if transport == UDP {
		if table = g.forged; !cfg.Bans.UDP {
			return
		}
	}
	now, pair := g.now().UnixNano(), g.pair(from, identity)
	if g.bans.holds(pair, now) {
		return
	}
	trusted, most := g.trusts(pair, now), cfg.Failures.Identity
	if trusted {
		most *= patience
	}
	bucket := table.claim(pair)
	first := bucket.Load() <= now
	if last(bucket, most, cfg.Failures.Within, now) {
		g.ban(from, identity, Guessing, transport, 0)
	}
	whole := g.key(from, 0)
	if first && !trusted && !g.bans.holds(whole, now) && last(table.claim(whole), cfg.Failures.Address, cfg.Failures.Within, now) {
		g.ban(from, "", Sweeping, transport, 0)
	}
}

// last counts one more in a bucket and says whether it is the last of most within a time. Then half of the bucket is forgotten, so that
// who goes on after a ban is banned sooner. most 0 bounds nothing.
func last(bucket *atomic.Int64, most int, within time.Duration, now int64) bool {
	if most == 0 {
		return false
	}
	each := int64(within) / int64(most)
	for {
		before := bucket.Load()
		paid := max(before, now) + each
		full := paid-now > each*int64(most-1)
		if full {
			paid = now + int64(within)/2
		}
		if bucket.CompareAndSwap(before, paid) {
			return full
		}
	}
}
