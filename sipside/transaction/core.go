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
}

// machine is the transaction that a core is part of.
type machine interface {
	timeout(timer input) // runs it; called with mu held, releases it
}

// slot is one timer; the generation tells a late firing from a valid one.
type slot struct {
	timer *time.Timer
	input input
	gen   uint32
}

func (s *slot) stop() {
	s.gen++
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

// begin starts a timer with its first interval. Called with mu held.
func (c *core) begin(timer input) {
	cfg := &c.layer.cfg
	switch timer {
	case timerA, timerE, timerG:
		c.interval = cfg.T1
		c.arm(&c.repeat, timer, cfg.T1)
	case timerTrying:
		c.arm(&c.repeat, timer, tryingAfter)
	case timerI, timerK:
		c.end.stop()
		c.layer.briefly.add(c, timer)
	case timerD, timerJ, timerL, timerM:
		c.end.stop()
		c.layer.long.add(c, timer)
	default:
		c.arm(&c.end, timer, 64*cfg.T1)
	}
}

// restart arms the repeating timer again. Called with mu held.
func (c *core) restart(interval time.Duration) {
	if timer := c.repeat.input; timer != timerA {
		interval = min(interval, c.layer.cfg.T2)
	}
	c.interval = interval
	c.arm(&c.repeat, c.repeat.input, interval)
}

// arm replaces the slot's timer. Called with mu held.
func (c *core) arm(s *slot, timer input, d time.Duration) {
	s.stop()
	s.input = timer
	gen := s.gen
	s.timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		if s.gen != gen {
			c.mu.Unlock()
			return
		}
		c.machine.timeout(timer)
	})
}
