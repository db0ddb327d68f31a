package sipside

import (
	"crypto/rand"
	"slices"
	"sync/atomic"
	"time"
)

// Pool is a set of interchangeable backends; a trunk is a pool of one. A reload makes a new one.
type Pool struct {
	// static after construction
	name    string
	order   string
	hashBy  string
	shared  bool
	members []*Backend

	turn  atomic.Uint64
	cycle atomic.Pointer[turns]
}

// turns is the rotation of some weights. Immutable.
type turns struct{ weights, cycle []int }

// Query gives what orders by hash look at in a request, by the values of PoolConfig.HashBy; "": it is not known. Nil knows nothing.
type Query func(by string) string

// The values of PoolConfig.HashBy.
const (
	ByCallID     = "call-id"
	ByCaller     = "caller" // address of record
	ByCallee     = "callee" // address of record
	ByRequestURI = "request-uri"
	BySource     = "source" // address without port
	ByUser       = "user"   // as authenticated
)

// HashKeys are the known values of PoolConfig.HashBy.
func HashKeys() []string {
	return []string{ByCallID, ByCaller, ByCallee, ByRequestURI, BySource, ByUser}
}

// key is what a request is hashed by: the caller where what is asked for is not known.
func (p *Pool) key(q Query) string {
	if p.order != Hash || q == nil {
		return ""
	}
	if found := q(p.hashBy); found != "" {
		return found
	}
	return q(ByCaller)
}

// Name is the pool's name in the configuration.
func (p *Pool) Name() string { return p.name }

// Parallel says whether a call goes to all living members at once.
func (p *Pool) Parallel() bool { return p.order == Parallel }

// SharedLocation says whether all members know where the users of each of them are.
func (p *Pool) SharedLocation() bool { return p.shared }

// Order gives the members in the order in which to try them for a request: living ones first, dead ones as a last resort. Members
// that are drained are left out.
func (p *Pool) Order(q Query) []*Backend {
	return p.arrange(p.order, lot{key: p.key(q), turn: p.turn.Add(1) - 1})
}

// Home is the order for what belongs to an address of record, its REGISTER above all: by rendezvous hash, so that it stays with one
// member, within the members of the best priority where the pool has that order. Where the location is shared it is Order's.
func (p *Pool) Home(aor string) []*Backend {
	if p.shared {
		return p.Order(func(string) string { return aor })
	}
	home := p.arrange(Hash, lot{key: aor})
	if p.order == Priority {
		slices.SortStableFunc(home, func(a, b *Backend) int {
			if alive := a.Alive(); alive != b.Alive() {
				return map[bool]int{true: -1, false: 1}[alive]
			}
			return a.settings.Load().priority - b.settings.Load().priority
		})
	}
	return home
}

func (p *Pool) arrange(kind string, d lot) []*Backend {
	now := time.Now()
	members := make([]*Backend, 0, len(p.members))
	list := make([]candidate, 0, len(p.members))
	starting := false
	for _, b := range p.members {
		if b.leaves() {
			continue
		}
		c := b.candidate(now)
		starting = starting || c.share < 1
		members, list = append(members, b), append(list, c)
	}
	if len(list) == 0 {
		return nil
	}
	if starting || kind == Random || kind == WeightedRandom {
		d.seed = rand.Text()
	}
	backends := make([]*Backend, 0, len(members))
	for _, i := range order(kind, list, d, p.rotate) {
		backends = append(backends, members[i])
	}
	return backends
}

// rotate is rotation, remembered for as long as the weights are the same.
func (p *Pool) rotate(weights []int) []int {
	t := p.cycle.Load()
	if t == nil || !slices.Equal(t.weights, weights) {
		t = &turns{weights, rotation(weights)}
		p.cycle.Store(t)
	}
	return t.cycle
}

// candidate is the backend as orders see it.
func (b *Backend) candidate(now time.Time) candidate {
	s := b.settings.Load()
	return candidate{
		name: b.name, weight: s.weight, priority: s.priority, calls: int(b.calls.Load()),
		latency: time.Duration(b.latency.Load()), standing: b.health(now), share: b.share(now),
	}
}
