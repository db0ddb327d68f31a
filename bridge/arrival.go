package bridge

import (
	"time"
)

// arrival is a leg that moves to another call: into the place of a leg that is replaced, or of the void leg of a search.
type arrival struct {
	moving
	from     *call
	seat     string // the leg's in from
	to       *call
	replaces *leg               // nil: what is void
	into     string             // the seat in to, where nobody is replaced
	accepted func(other string) // on from's goroutine, as refused: the leg is there, in a call of that id
	refused  func()             // the leg is back
	began    time.Time
}

const (
	moveAgain = 50 * time.Millisecond // a leg with an offer under way is looked at again
	moveLimit = 10 * time.Second
)

// send lets a leg go to another call, as soon as nothing is under way on it.
func (c *call) send(l *leg, a arrival) {
	if a.began.IsZero() {
		a.began = time.Now()
	}
	switch {
	case l.movable():
		a.moving = c.release(l)
		if !a.to.post("leg arrives", func() { a.to.arrive(a) }) {
			c.comeBack(a)
		}
	case l.state != legConfirmed || c.state != callUp || time.Since(a.began) > moveLimit:
		a.refused()
		a.to.post("transfer given up", func() { a.to.giveUpSearch() })
	default:
		c.after(moveAgain, "leg moves", func() { c.send(l, a) })
	}
}

// arrive takes a leg into its new call, as soon as nothing is under way there.
func (c *call) arrive(a arrival) {
	seat := a.into
	if a.replaces != nil {
		seat = a.replaces.name
	}
	other := c.far(c.seated(seat))
	switch {
	case !c.receives(a), time.Since(a.began) > moveLimit:
		if !a.from.post("leg comes back", func() { a.from.comeBack(a) }) {
			c.bridge.bury(a.moving, transferLost(a.seat, 481))
		}
		c.giveUpSearch()
		return
	case c.taking == nil && !other.movable(), a.replaces != nil && !a.replaces.movable():
		c.after(moveAgain, "leg arrives", func() { c.arrive(a) })
		return
	}
	if a.replaces != nil {
		c.bridge.bury(c.release(a.replaces), replacedBy(a.from.id))
		c.record.Replaced = append(c.record.Replaced, a.from.id)
	}
	c.take(a.moving, seat)
	a.from.post("leg arrived", func() { a.accepted(c.id) })
	if err := c.relay(); err != nil {
		c.fail(noResources(err))
		return
	}
	if c.taking != nil {
		c.step(callAnswer, nil, nil)
		return
	}
	if c.searching != nil {
		c.searching = nil
		c.step(callConfirm, nil, nil)
	}
	c.mend(a.leg, other)
}

// seated is the leg of a name.
func (c *call) seated(name string) *leg {
	if name == byCaller {
		return c.caller
	}
	return c.callee
}

// receives says whether the call is one that the leg can still come to.
func (c *call) receives(a arrival) bool {
	if a.replaces != nil {
		return c.state == callUp && a.replaces.home.is(c) && a.replaces.state == legConfirmed
	}
	return c.state == callAnswered && c.searching != nil || c.state == callSeeking && c.taking != nil
}

// comeBack takes a leg that could not go.
func (c *call) comeBack(a arrival) {
	if c.state >= callEnding {
		c.bridge.bury(a.moving, transferLost(a.seat, 481))
		return
	}
	c.take(a.moving, a.seat)
	a.refused()
}

// mend joins the media of a leg that came with that of the one that was there: each is offered what the other says, first the
// one that came. Who was held is held no more.
func (c *call) mend(came, there *leg) {
	there.neg = there.neg.Resumed()
	c.join(c.caller, c.callee)
	came.mended = func() {
		if there.movable() && there.differs(came) {
			there.offer(offerWanted)
		}
	}
	came.offer(offerWanted)
}

// differs says whether an offer made of what the far leg says would be another than the peer knows.
func (l *leg) differs(far *leg) bool {
	_, text, err := l.ready(far.neg.Heard).Offer(far.neg.Heard)
	return err == nil && string(text) != l.neg.Text
}

// bury hangs up a leg that belongs to no call any more.
func (b *Bridge) bury(m moving, why Termination) {
	c := b.newCall(b.ids.call())
	c.state = callUp
	c.record.End = time.Now() // it is in the record of the call that it left
	c.caller, c.callee = c.void(byCaller), c.void(byCallee)
	b.calls.add(c)
	c.post("farewell", func() {
		c.take(m, byCaller)
		c.fail(why)
	})
	c.bridge.runners.run(c.run)
}

// sessionOf is the Session-ID half of a leg's user.
func (c *call) sessionOf(l *leg) string {
	if l == c.caller {
		return c.sessions.Caller
	}
	return c.sessions.Callee
}
