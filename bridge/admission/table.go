package admission

import (
	"time"

	"golang.org/x/time/rate"
)

// tableLimit is how many parties one table remembers; who is idle leaves first.
const tableLimit = 100_000

// table counts the calls of many parties against one Cap each. A party is forgotten when nothing would be told of it any more: it
// has no calls, and its rate is whole again. Not safe for concurrent use.
type table struct {
	cap     Cap
	limit   int
	parties map[string]*party
	sweepAt int // parties
}

type party struct {
	running int
	rate    *rate.Limiter // nil: any
}

// Sizes at which a table is swept: amortized, each party is looked at a few times only.
const sweepLeast = 1024

func newTable(limit int) *table {
	return &table{limit: limit, parties: map[string]*party{}, sweepAt: sweepLeast}
}

// set takes another cap in the place of the present one; what runs counts on.
func (t *table) set(to Cap) {
	if t.cap == to {
		return
	}
	for _, p := range t.parties {
		if t.cap.Rate != to.Rate {
			p.rate = limiter(to.Rate)
		}
	}
	t.cap = to
}

// take counts a party's call, or says which limit it is over: Calls or Rate.
func (t *table) take(key string, now time.Time, again bool) (limit, why string) {
	p := t.party(key, now)
	switch {
	case t.cap.Calls > 0 && p.running >= t.cap.Calls:
		return Calls, tooMany(t.cap.Calls)
	case !again && p.rate != nil && !p.rate.AllowN(now, 1):
		return Rate, tooFast(t.cap.Rate)
	}
	p.running++
	return "", ""
}

// keep counts a call whatever the cap.
func (t *table) keep(key string, now time.Time) { t.party(key, now).running++ }

// release is the end of a call that was counted.
func (t *table) release(key string, now time.Time) {
	p := t.parties[key]
	if p.running--; t.idle(p, now) {
		delete(t.parties, key)
	}
}

func (t *table) party(key string, now time.Time) *party {
	if p := t.parties[key]; p != nil {
		return p
	}
	if len(t.parties) >= t.sweepAt {
		t.sweep(now)
	}
	p := &party{rate: limiter(t.cap.Rate)}
	t.parties[key] = p
	return p
}

// sweep forgets who is idle; where that makes too little room also some whose rate is not whole yet, for nobody may fill the memory.
func (t *table) sweep(now time.Time) {
	for key, p := range t.parties {
		if t.idle(p, now) {
			delete(t.parties, key)
		}
	}
	for key, p := range t.parties {
		if len(t.parties) < t.limit*7/8 {
			break
		}
		if p.running == 0 {
			delete(t.parties, key)
		}
	}
	t.sweepAt = max(sweepLeast, min(t.limit, 2*len(t.parties)), len(t.parties)+1)
}

func (t *table) idle(p *party, now time.Time) bool {
	return p.running == 0 && (p.rate == nil || p.rate.TokensAt(now) >= float64(p.rate.Burst()))
}
