package ice

import (
	"net/netip"
	"slices"
)

// state is a pair's (RFC 8445 §6.1.2.6). With one base for each component no pair has to wait for another of its foundation:
// none is ever frozen.
type state uint8

const (
	waiting state = iota
	inProgress
	succeeded
	failed
)

// pair is our socket of a component and an address of the peer's.
type pair struct {
	generation *generation
	component  int
	to         netip.AddrPort
	remote     uint32 // the candidate's priority
	priority   uint64
	state      state
	heard      bool // a good check of the peer's came by it
	proven     bool // a check of ours was answered
	wanted     bool // the peer nominated it, or we are about to
	nominates  bool // the check under way does
	nominated  bool

	// the check under way
	id      [12]byte
	message []byte
	tries   int
	again   int64
}

// add makes a pair, a bad one making room where there are too many.
func (a *Agent) add(component int, to netip.AddrPort, priority uint32) *pair {
	p := &pair{generation: a.generation, component: component, to: to, remote: priority}
	p.rank(a.controlling)
	if len(a.pairs) >= maxPairs {
		worst := slices.IndexFunc(a.pairs, func(o *pair) bool { return o.state == failed })
		if worst < 0 {
			worst = len(a.pairs) - 1
		}
		a.forget(a.pairs[worst])
	}
	a.pairs = append(a.pairs, p)
	a.sort()
	return p
}

func (a *Agent) forget(p *pair) {
	a.pairs = slices.DeleteFunc(a.pairs, func(o *pair) bool { return o == p })
	a.triggered = slices.DeleteFunc(a.triggered, func(o *pair) bool { return o == p })
}

// rank is RFC 8445 §6.1.2.3.
func (p *pair) rank(controlling bool) {
	ours := uint64(hostPreferred | 256 - p.component)
	theirs := uint64(p.remote)
	p.priority = min(ours, theirs)<<32 + 2*max(ours, theirs)
	if controlling && ours > theirs || !controlling && theirs > ours {
		p.priority++
	}
}

// sort puts the best pair first, RTP's before RTCP's.
func (a *Agent) sort() {
	slices.SortStableFunc(a.pairs, func(x, y *pair) int {
		switch {
		case x.priority > y.priority:
			return -1
		case x.priority < y.priority:
			return 1
		}
		return x.component - y.component
	})
}

func (a *Agent) pairOf(component int, to netip.AddrPort) *pair {
	for _, p := range a.pairs {
		if p.component == component && p.to == to {
			return p
		}
	}
	return nil
}

// take has the agent take a role (RFC 8445 §7.3.1.1).
func (a *Agent) take(controlling bool) {
	a.controlling = controlling
	for _, p := range a.pairs {
		p.rank(controlling)
		p.wanted, p.nominates = false, false
	}
	a.sort()
}

// trigger puts a pair before all others.
func (a *Agent) trigger(p *pair) {
	p.state = waiting
	if !slices.Contains(a.triggered, p) {
		a.triggered = append(a.triggered, p)
	}
}

// waits says whether there is a check to be sent.
func (a *Agent) waits() bool {
	return len(a.triggered) > 0 || slices.ContainsFunc(a.pairs, func(p *pair) bool { return p.state == waiting })
}

// next takes the pair that is to be checked next; nil: none.
func (a *Agent) next() *pair {
	if len(a.triggered) > 0 {
		p := a.triggered[0]
		a.triggered = a.triggered[1:]
		return p
	}
	for _, p := range a.pairs {
		if p.state == waiting {
			return p
		}
	}
	return nil
}

// nominating says whether a component's pair is nominated, or about to be.
func (a *Agent) nominating(component int) bool {
	return slices.ContainsFunc(a.pairs, func(p *pair) bool {
		return p.component == component && (p.nominated || p.nominates && p.state != failed || p.wanted && p.state == waiting)
	})
}

// nominate has the controlling agent nominate the best pair that works: at once where no better one is left to try, after a
// while otherwise (RFC 8445 §8.1.1).
func (a *Agent) nominate(component int, now int64) {
	c := &a.components[component-1]
	if !a.controlling || c.worked == 0 || a.nominating(component) {
		return
	}
	for _, p := range a.pairs {
		switch {
		case p.component != component || p.state == failed:
		case p.state == succeeded:
			p.wanted = true
			a.trigger(p)
			return
		case now-c.worked < patience:
			return
		}
	}
}

// choose takes a nominated pair into use. What else there is of its component is not tried any more.
func (a *Agent) choose(p *pair, now int64) {
	c := &a.components[p.component-1]
	p.nominated, p.wanted, p.nominates = true, false, false
	if s := c.selected; s != nil && s.generation == p.generation && s.priority >= p.priority {
		return // a peer that nominates several means the best
	}
	for _, o := range a.pairs {
		if o.component == p.component && o.state == waiting && o != p {
			o.state = failed
		}
	}
	a.triggered = slices.DeleteFunc(a.triggered, func(o *pair) bool { return o.component == p.component })
	c.selected = p
	c.consent.begin(now)
	a.cfg.Selected(p.component, p.to)
}
