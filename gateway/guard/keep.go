package guard

import (
	"net/netip"
	"sync"
	"time"
)

// Kept is what a Guard knows that outlives the process: bans, those that are over but remembered included, and trust.
type Kept struct {
	Bans    []Ban     `json:"bans,omitempty"`
	Trusted []Trusted `json:"trusted,omitempty"`
}

// Trusted is an address from which credentials were good, of one identity, or with "" of anybody.
type Trusted struct {
	Address  netip.Prefix `json:"address"`
	Identity string       `json:"identity,omitempty"`
	Until    time.Time    `json:"until"`
}

// trustStep is how much longer trust has to hold for that to be kept anew: what is proved again and again changes nothing.
const trustStep = time.Hour

// trusts are those to be kept: the table that is asked knows hashes alone. Safe for concurrent use.
type trusts struct {
	mu   sync.Mutex
	held map[trusted]int64 // guarded by mu: until when, in nanoseconds
}

type trusted struct {
	network  netip.Prefix
	identity string
}

// trust notes until when credentials speak for an identity at an address; "" is anybody's.
func (g *Guard) trust(from netip.Addr, identity string, now, until time.Time) {
	g.trusted.claim(g.of(from, identity)).Store(until.UnixNano())
	if g.keeps == nil {
		return
	}
	g.keeps.mu.Lock()
	defer g.keeps.mu.Unlock()
	whose := trusted{network(from), identity}
	if until.UnixNano()-g.keeps.held[whose] < int64(trustStep) {
		return
	}
	g.keeps.add(whose, now, until.UnixNano())
	g.changes.Add(1)
}

// add notes until when somebody is trusted. Where the table is full it looks at some entries, drops those that have expired, and one in
// any case. Called with mu held.
func (t *trusts) add(whose trusted, now time.Time, until int64) {
	if _, known := t.held[whose]; !known && len(t.held) >= tableSize {
		seen := 0
		for other, ends := range t.held {
			if seen == 0 || ends <= now.UnixNano() {
				delete(t.held, other)
			}
			if seen++; seen == sampled {
				break
			}
		}
	}
	t.held[whose] = until
}

// Changes grows with each change of what Keep gives.
func (g *Guard) Changes() uint64 { return g.changes.Load() + g.bans.changes.Load() }

// Keep gives what is to outlive the process; trust only where Options.Keep says so.
func (g *Guard) Keep() (k Kept) {
	now := g.now()
	g.bans.mu.Lock()
	for _, ban := range g.bans.byKey {
		if now.Sub(ban.Until) <= memory {
			k.Bans = append(k.Bans, ban)
		}
	}
	g.bans.mu.Unlock()
	if g.keeps == nil {
		return k
	}
	g.keeps.mu.Lock()
	defer g.keeps.mu.Unlock()
	for whose, until := range g.keeps.held {
		if until > now.UnixNano() {
			k.Trusted = append(k.Trusted, Trusted{whose.network, whose.identity, time.Unix(0, until).UTC()})
		}
	}
	return k
}

// Restore takes what another process kept. It is called before anything is asked.
func (g *Guard) Restore(k Kept) {
	for _, ban := range k.Bans[:min(len(k.Bans), maxBans)] {
		if ban.Address.IsValid() {
			g.bans.put(g.of(ban.Address.Addr(), ban.Identity), ban)
		}
	}
	now := g.now()
	for _, t := range k.Trusted {
		if t.Address.IsValid() && t.Until.After(now) {
			g.trust(t.Address.Addr(), t.Identity, now, t.Until)
		}
	}
}
