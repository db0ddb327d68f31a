package bridge

import (
	"time"

	"tandem/bridge/media"
)

// onMedia is called by a media worker.
func (l *leg) onMedia(ev media.Event) {
	l.post("media", func() {
		if l.media != nil { // nil: what was under way when it closed
			l.judge(ev)
		}
	})
}

// judge judges a leg by its media: the WebSocket may be lost and the call goes on; media that is dead ends it.
func (l *leg) judge(ev media.Event) {
	c := l.call
	if c.state >= callEnding || !c.concerns(l) {
		return
	}
	switch ev.Kind {
	case media.Connected:
		l.log.Info("media connected")
		c.event(Event{Media: &MediaEvent{Leg: l.name, What: "connected"}})
	case media.Failed:
		l.log.Warn("media failed", "reason", ev.Reason)
		c.event(Event{Media: &MediaEvent{Leg: l.name, What: "failed", Reason: string(ev.Reason)}})
		c.fail(mediaFailed(l.name, ev.Reason))
	case media.Dead:
		l.dead = true
		l.log.Warn("media dead")
		if c.state < callAnswered || l.neg.Resting { // who rings or rests need not send; expectMedia looks again
			return
		}
		c.event(Event{Media: &MediaEvent{Leg: l.name, What: "dead", Reason: string(ev.Reason)}})
		if l.browser() && l.peer == nil {
			c.endOrphan(l) // else the grace decides
			return
		}
		c.fail(mediaTimeout(l.name))
	case media.Digit:
		if far := c.far(l); far != nil {
			far.sendDigit(ev.Key, ev.Duration)
		}
	case media.Alive:
		l.dead = false
		c.event(Event{Media: &MediaEvent{Leg: l.name, What: "alive"}})
	}
}

// reviveLimit is how long a leg that was silent while it rang, or rested, may stay so after the answer.
const reviveLimit = time.Minute

// expectMedia gives the legs that were dead before the answer, or while the stream rested, their time.
func (c *call) expectMedia() {
	for _, l := range []*leg{c.caller, c.callee} {
		if l.dead {
			c.after(reviveLimit, "media after the answer", func() {
				if l.home.is(c) && l.dead && c.state == callUp && !l.neg.Resting {
					c.fail(mediaTimeout(l.name))
				}
			})
		}
	}
}

// concerns says whether a leg's media decides over the call: the caller's, the winner's, and while all is open any branch's that
// was not given up.
func (c *call) concerns(l *leg) bool {
	if l == c.caller || l == c.callee {
		return true
	}
	for _, br := range c.branches {
		if br.leg == l {
			return !br.over
		}
	}
	return false
}
