package guard

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ban keeps an address out, or one identity at it.
type Ban struct {
	Address  netip.Prefix `json:"address"`            // one IPv4 address, or an IPv6 /64
	Identity string       `json:"identity,omitempty"` // "": all of it
	Why      string       `json:"why"`                // see Cause
	Since    time.Time    `json:"since"`
	Until    time.Time    `json:"until"`
	Times    int          `json:"times"` // how often by now
}

// Cause is why a ban was made.
type Cause string

const (
	Guessing Cause = "guessing" // many wrong credentials of one identity
	Sweeping Cause = "sweeping" // wrong credentials of many identities
	Scanning Cause = "scanning" // a scanner's User-Agent
	ByHand   Cause = "operator"
)

const (
	maxBans = 1 << 14
	memory  = 24 * time.Hour // after its end a ban is remembered so long, for the next one to be longer
	sweeps  = time.Minute    // between two looks for bans that can be forgotten
	sampled = 16             // bans that are looked at for the one that ends first
)

// bans are those that hold, and those that are remembered. Safe for concurrent use; holds takes no lock.
type bans struct {
	any  atomic.Bool // there was one ever
	held *slots      // until when, in nanoseconds

	changes atomic.Uint64

	mu sync.Mutex
	// guarded by mu
	byKey map[uint64]Ban
	swept time.Time
}

func newBans() *bans { return &bans{held: newSlots(tableSize), byKey: map[uint64]Ban{}} }

// holds says whether a key is banned.
func (b *bans) holds(key uint64, now int64) bool {
	if !b.any.Load() {
		return false
	}
	until := b.held.find(key)
	return until != nil && until.Load() > now
}

// add begins a ban, or makes one that holds longer.
func (b *bans) add(key uint64, ban Ban, lasts Bans) Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(ban.Since)
	if before, known := b.byKey[key]; known {
		ban.Times = before.Times
	} else if len(b.byKey) >= maxBans {
		b.dropOne()
	}
	if ban.Until.IsZero() {
		ban.Until = ban.Since.Add(lasts.after(ban.Times))
	}
	ban.Times++
	b.set(key, ban)
	return ban
}

// put takes a ban as it is.
func (b *bans) put(key uint64, ban Ban) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(key, ban)
}

// set notes a ban. Called with mu held.
func (b *bans) set(key uint64, ban Ban) {
	b.byKey[key] = ban
	b.held.claim(key).Store(ban.Until.UnixNano())
	b.any.Store(true)
	b.changes.Add(1)
}

// after is how long a ban lasts that comes after so many others: First, doubled for each, at most Longest.
func (b Bans) after(times int) time.Duration {
	lasts := b.First
	for range times {
		if lasts >= b.Longest/2 {
			return b.Longest
		}
		lasts *= 2
	}
	return min(lasts, b.Longest)
}

// sweep forgets what is too long ago. Called with mu held.
func (b *bans) sweep(now time.Time) {
	if now.Sub(b.swept) < sweeps {
		return
	}
	b.swept = now
	for key, ban := range b.byKey {
		if now.Sub(ban.Until) > memory {
			delete(b.byKey, key)
		}
	}
}

// dropOne makes room: of some bans, taken at random, it forgets the one that ends first. Called with mu held.
func (b *bans) dropOne() {
	var first uint64
	var ends time.Time
	seen := 0
	for key, ban := range b.byKey {
		if ends.IsZero() || ban.Until.Before(ends) {
			first, ends = key, ban.Until
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(b.byKey, first)
	b.held.forget(first)
}

// lift ends and forgets the bans that of selects. It returns those that were in force at now.
func (b *bans) lift(of func(Ban) bool, now time.Time) (lifted []Ban) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, ban := range b.byKey {
		if !of(ban) {
			continue
		}
		delete(b.byKey, key)
		b.held.forget(key)
		b.changes.Add(1)
		if ban.Until.After(now) {
			lifted = append(lifted, ban)
		}
	}
	return lifted
}

// list gives those that hold, the one that ends first before the others.
func (b *bans) list(now time.Time) []Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []Ban{}
	for _, ban := range b.byKey {
		if ban.Until.After(now) {
			all = append(all, ban)
		}
	}
	slices.SortFunc(all, func(x, y Ban) int {
		return cmp.Or(x.Until.Compare(y.Until), x.Address.Compare(y.Address), cmp.Compare(x.Identity, y.Identity))
	})
	return all
}

// Bans lists the bans that hold, the one that ends first before the others.
func (g *Guard) Bans() []Ban { return g.bans.list(g.now()) }

// Lift ends all bans at an address, or with an identity that one's alone, and forgets the failures that led to them. It returns how many
// bans were in force.
func (g *Guard) Lift(from netip.Addr, identity string) int {
	at := network(from)
	lifted := g.bans.lift(func(b Ban) bool { return b.Address == at && (identity == "" || b.Identity == identity) }, g.now())
	for _, b := range lifted {
		for _, table := range []*slots{g.failed, g.forged} {
			table.forget(g.of(from, b.Identity))
		}
		g.say("lifted", from, "", b.Identity, "why", b.Why)
	}
	return len(lifted)
}

// BanFor bans an address, or with an identity that one alone there, for as long as an operator says.
func (g *Guard) BanFor(from netip.Addr, identity string, lasts time.Duration) {
	g.ban(from, identity, ByHand, "", lasts)
}

// ban begins a ban; with lasts 0 its length is by Bans, twice that of the ban before.
func (g *Guard) ban(from netip.Addr, identity string, why Cause, transport string, lasts time.Duration) {
	b := Ban{Address: network(from), Identity: identity, Why: string(why), Since: g.now()}
	if lasts > 0 {
		b.Until = b.Since.Add(lasts)
	}
	b = g.bans.add(g.of(from, identity), b, g.cfg.Load().Bans)
	g.counts.ban(why)
	g.say("ban", from, transport, identity, "why", b.Why, "for", b.Until.Sub(b.Since).String(), "times", b.Times)
}

// of is the key of an address, or of an identity there.
func (g *Guard) of(from netip.Addr, identity string) uint64 {
	if identity == "" {
		return g.key(from, 0)
	}
	return g.pair(from, identity)
}
