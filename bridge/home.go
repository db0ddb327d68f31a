package bridge

import (
	"maps"
	"sync"
)

// home is the call that owns a leg. A transfer moves a leg to another call; what is meant for it meanwhile waits.
type home struct {
	mu      sync.Mutex
	call    *call   // guarded by mu, as is what follows; nil: the leg is on its way
	waiting []event //
}

// enter gives the leg to a call, and what has waited for it.
func (h *home) enter(c *call) []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := h.waiting
	h.call, h.waiting = c, nil
	return waiting
}

// find is the call that owns the leg; where there is none the event waits.
func (h *home) find(e event) *call {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.call == nil {
		h.waiting = append(h.waiting, e)
	}
	return h.call
}

func (h *home) is(c *call) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call == c
}

// post hands the call that owns the leg an event, from any goroutine; false once that call has ended. A leg that moved before its
// event was done is followed.
func (l *leg) post(name string, do func()) bool { return l.hand(event{name: name, do: do}) }

// hand is post for events of any kind.
func (l *leg) hand(e event) bool {
	name, do := e.name, e.do
	c := l.home.find(event{name: name, do: do}) // where it waits it is another's who posts it
	return c == nil || c.hand(event{name: name, lent: e.lent, do: func() {
		if l.home.is(c) || !l.post(name, do) {
			do()
		}
	}})
}

// adopt makes the call the owner of a leg that is new, or that another call released.
func (c *call) adopt(l *leg) {
	l.call = c
	for _, e := range l.home.enter(c) {
		l.post(e.name, e.do)
	}
}

// moving is a confirmed leg on its way between two calls, with what its call knew of its user.
type moving struct {
	leg     *leg
	session string // the user's half of the Session-ID
}

// movable says that nothing is under way on the leg that its call would miss.
func (l *leg) movable() bool {
	return l.settled() && l.offers.Phase == offersStable && len(l.repeats) == 0
}

// release lets a movable leg go. A void one takes its place, so that the call has two legs all the same.
func (c *call) release(l *leg) moving {
	out := moving{leg: l, session: c.sessions.Callee}
	if l.media != nil {
		f := l.figures()
		f.Drops = maps.Clone(f.Drops)
		c.record.Media = append(c.record.Media, f)
	}
	l.timer.stop()
	if l.flow != "" {
		c.bridge.calls.dropFlow(l.flow, c)
	}
	if l == c.caller {
		out.session = c.sessions.Caller
	}
	c.put(c.void(l.name), l.name)
	for i, br := range c.branches {
		if br.leg == l {
			c.branches = append(c.branches[:i:i], c.branches[i+1:]...)
			break
		}
	}
	l.home.enter(nil)
	return out
}

// take is release's other half: the leg becomes the call's caller or callee. A browser whose connection was lost on the way is
// awaited.
func (c *call) take(m moving, name string) {
	l := m.leg
	l.name = name
	c.put(l, name)
	if name == byCaller {
		c.sessions.Caller = m.session
	} else {
		c.sessions.Callee = m.session
	}
	c.adopt(l)
	if l.flow != "" {
		c.bridge.calls.addFlow(l.flow, c)
	}
	if l.browser() {
		if conn := c.bridge.with.Browsers.Find(l.flow); l.peer != nil && conn == nil {
			c.onFlowGone(l.flow)
		} else if l.peer == nil {
			c.awaitReturn(l)
		}
	}
	l.startTimer()
}

// put makes a leg the call's caller or callee.
func (c *call) put(l *leg, name string) {
	if name == byCaller {
		c.caller = l
	} else {
		c.callee = l
	}
}

// void is a leg without a peer, in the place of one that went.
func (c *call) void(name string) *leg {
	l := &leg{name: name, state: legGone}
	l.log = newLegLog(l)
	c.adopt(l)
	return l
}
