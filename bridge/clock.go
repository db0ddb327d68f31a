package bridge

import (
	"slices"
	"time"
)

// timer is a time limit of a call: what it does happens on the call's goroutine, and never after stop. Nil is a stopped timer.
type timer struct {
	call *call
	name string
	do   func()
	t    *time.Timer
	done bool // owned by the call's goroutine
}

// after lets do happen on the call's goroutine once d has passed.
func (c *call) after(d time.Duration, name string, do func()) *timer {
	out := &timer{call: c, name: name, do: do}
	out.t = time.AfterFunc(d, out.fire)
	c.timers = append(c.timers, out)
	return out
}

func (c *call) stopTimers() {
	for len(c.timers) > 0 {
		c.timers[0].stop()
	}
}

func (t *timer) fire() {
	t.call.post(t.name, func() {
		if !t.done {
			t.stop()
			t.do()
		}
	})
}

// restart has a running timer begin anew.
func (t *timer) restart(d time.Duration) *timer {
	if t.t.Stop() {
		t.t.Reset(d)
		return t
	}
	t.stop() // it has fired, and is not heard of yet
	return t.call.after(d, t.name, t.do)
}

// stop is safe on nil and twice.
func (t *timer) stop() {
	if t == nil || t.done {
		return
	}
	t.done = true
	t.t.Stop()
	running := t.call.timers
	last := len(running) - 1
	running[slices.Index(running, t)], running[last] = running[last], nil
	t.call.timers = running[:last]
}

func (t *timer) running() bool { return t != nil && !t.done }
