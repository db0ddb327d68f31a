package sipside

import (
	"slices"
	"sync/atomic"
)

// Pool is a set of interchangeable backends; a trunk is a pool of one.
type Pool struct {
	// static after construction
	name    string
	probe   Probe
	members []*Backend
	names   []string // of members
	weights []int    // of members

	turn  atomic.Uint64
	cycle atomic.Pointer[livingCycle]
}

// livingCycle is the rotation of the members that were alive when it was made. Immutable.
type livingCycle struct {
	alive []bool
	turns []int
}

// Name is the pool's name in the configuration.
func (p *Pool) Name() string { return p.name }

// Order gives the members in the order in which to try them: living ones first. A key (an address of record) orders by
// rendezvous hash, so that REGISTER and calls of one user stay on one member; an empty key lets the living members take
// turns by weight.
func (p *Pool) Order(key string) []*Backend {
	alive := make([]bool, len(p.members))
	for i, b := range p.members {
		alive[i] = b.Alive()
	}
	var order []int
	if key != "" {
		order = rendezvous(key, p.names, p.weights)
	} else {
		order = p.takeTurn(alive)
	}
	backends := make([]*Backend, len(order))
	for i, member := range livingFirst(order, alive) {
		backends[i] = p.members[member]
	}
	return backends
}

// takeTurn rotates over the living members and puts the dead ones, as a last resort, behind.
func (p *Pool) takeTurn(alive []bool) []int {
	cycle := p.cycle.Load()
	if cycle == nil || !slices.Equal(cycle.alive, alive) {
		weights := slices.Clone(p.weights)
		for i := range weights {
			if !alive[i] {
				weights[i] = 0
			}
		}
		cycle = &livingCycle{alive, rotation(weights)}
		p.cycle.Store(cycle)
	}
	turn := p.turn.Add(1) - 1
	order := fromTurn(cycle.turns, turn)
	for i := range p.members {
		dead := (int(turn%uint64(len(p.members))) + i) % len(p.members)
		if !alive[dead] {
			order = append(order, dead)
		}
	}
	return order
}
