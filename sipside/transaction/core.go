package transaction

import (
	"sync"
	"time"
)

// tryingAfter is how long the user of an INVITE server may stay silent before the layer says 100 (RFC 3261 §17.2.1).
const tryingAfter = 200 * time.Millisecond

// core is what client and server transactions share: where the machine stands, and its two timers.
type core struct {
	// static after construction
	layer   *Layer
	table   *table
	machine machine

	mu sync.Mutex
	// guarded by mu
	state    state
	repeat   slot // A, E, G, Trying
	end      slot // all others
	interval time.Duration

	next, previous *core // on the same flow; guarded by the layer's mu
}

// machine is the transaction that a core is part of.
type machine interface {
	timeout(timer input) // runs it; called with mu held, releases it
	flowLost(err error)
}

// slot is one timer; the generation tells a late firing from a valid one.
type slot struct {
	wait   *wait  // nil: the timer is its own, or does not run
	number uint64 // in wait
	timer  *time.Timer
	input  input
	gen    uint32
}

func (s *slot) stop() {
	s.gen++
	if s.wait != nil {
		s.wait.stop(s.number)
		s.wait = nil
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// advance steps the machine and does what concerns timers and counters. The rest of the actions is the caller's.
// Called with mu held.
func (c *core) advance(in input) (do []action, ok bool) {
	next, do, ok := c.table.step(c.state, in)
	if !ok {
		return nil, false
	}
	c.state = next
	for _, a := range do {
		switch {
		case a == stopRepeat:
			c.repeat.stop()
		case a == stopEnd:
			c.end.stop()
		case a == again:
			c.restart(c.interval * 2)
		case a == againSlow:
			c.restart(c.layer.cfg.T2)
		case a == absorb:
			c.layer.counters.absorbed.Add(1)
		case a == countRetry:
			c.layer.counters.retransmissions.Add(1)
		case a == countUnacked:
			c.layer.counters.unacked.Add(1)
		case a >= startFirst:
			c.begin(timerA + input(a-startFirst))
		}
	}
	if next == terminated {
		c.repeat.stop()
		c.end.stop()
	}
	return do, true
}

// slot is where a timer runs.
func (c *core) slot(timer input) *slot {
	switch timer {
	case timerA, timerE, timerG, timerTrying:
		return &c.repeat
	}
	return &c.end
}

// begin starts a timer with its first interval. Called with mu held.
func (c *core) begin(timer input) {
	w := &c.layer.answer
	switch timer {
	case timerA, timerE, timerG:
		w, c.interval = &c.layer.first, c.layer.cfg.T1
	case timerTrying:
		w = &c.layer.trying
	case timerI, timerK:
		w = &c.layer.briefly
	case timerD, timerJ, timerL, timerM:
		w = &c.layer.long
	}
	s := c.slot(timer)
	s.stop()
	s.input, s.wait, s.number = timer, w, w.add(c, timer, s.gen)
}

// restart lets the repeating timer run again: few messages are lost, so this has a timer of its own. Called with mu held.
func (c *core) restart(interval time.Duration) {
	s := &c.repeat
	timer := s.input
	if timer != timerA {
		interval = min(interval, c.layer.cfg.T2)
	}
	c.interval = interval
	s.stop()
	gen := s.gen
	s.timer = time.AfterFunc(interval, func() {
		c.mu.Lock()
		if s.gen != gen {
			c.mu.Unlock()
			return
		}
		c.machine.timeout(timer)
	})
}
