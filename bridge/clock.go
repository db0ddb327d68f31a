package bridge

import "time"

// timer is a time limit of a call: what it does happens on the call's goroutine, and never after stop. Nil is a stopped timer.
type timer struct {
	call *call
	t    *time.Timer
	done bool // owned by the call's goroutine
}

// after lets do happen on the call's goroutine once d has passed.
func (c *call) after(d time.Duration, name string, do func()) *timer {
	out := &timer{call: c}
	out.t = time.AfterFunc(d, func() {
		c.post(name, func() {
			if !out.done {
				out.stop()
				do()
			}
		})
	})
	c.timers[out] = struct{}{}
	return out
}

// stop is safe on nil and twice.
func (t *timer) stop() {
	if t == nil || t.done {
		return
	}
	t.done = true
	t.t.Stop()
	delete(t.call.timers, t)
}

func (t *timer) running() bool { return t != nil && !t.done }
