package transaction

import (
	"sync"
	"time"
)

// lingering are machines with nothing to do but to absorb repetitions for the same time (timers D, I, J, K, L, M). They end in the
// order in which they began, so one timer of the runtime serves all, and wakes the process once in a grain, not for each of them:
// who ends among many may end so much later.
type lingering struct {
	// static after construction
	wait, grain time.Duration

	mu sync.Mutex
	// guarded by mu
	queue []lingerer // the first ends next
	timer *time.Timer
}

// lingerer is one of them; the generation of its slot tells whether it still waits.
type lingerer struct {
	core  *core
	timer input
	gen   uint32
	end   time.Time
}

// add has a machine's end slot fire. Called with the machine's mu held.
func (l *lingering) add(c *core, timer input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, lingerer{core: c, timer: timer, gen: c.end.gen, end: time.Now().Add(l.wait)})
	switch {
	case len(l.queue) > 1:
	case l.timer == nil:
		l.timer = time.AfterFunc(l.wait, l.fire)
	default:
		l.timer.Reset(l.wait)
	}
}

// fire ends all whose time is over.
func (l *lingering) fire() {
	over := l.over()
	defer clear(over) // the queue's array may stay
	for _, o := range over {
		o.core.mu.Lock()
		if o.core.end.gen != o.gen {
			o.core.mu.Unlock()
			continue
		}
		o.core.machine.timeout(o.timer)
	}
}

// over takes them off the queue, and sets the timer for those who are left.
func (l *lingering) over() []lingerer {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(l.queue) && !l.queue[n].end.After(now) {
		n++
	}
	over := l.queue[:n:n]
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
		return over
	}
	l.timer.Reset(max(l.queue[0].end.Sub(now), l.grain))
	return over
}
