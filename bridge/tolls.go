package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
)

// Tolls say whether a call may go where it may cost, and hear how long it runs there. They must not block.
type Tolls interface {
	// Place is asked before an INVITE goes to a backend; end, which does not block, ends the call. A Meter that is not nil hears of
	// the answer and of the end. Of a call that runs already nothing is refused.
	Place(t Toll, end func(why string)) (Meter, *TollRefusal)
}

// Meter hears of one leg with a backend. Its methods may be called again, and from any goroutine; Ended also without Answered.
type Meter interface {
	Answered()
	Ended()
}

// Toll is a leg with a backend that may cost.
type Toll struct {
	User    string // whose call it is, by address of record; "": nobody's whom we know
	Number  string // as it goes on, seen as by the routes
	Via     string // the pool or trunk
	Running bool   // it was answered before
}

// TollRefusal is a leg that may not be.
type TollRefusal struct {
	Status int // 403 or 503
	Why    string
}

// placeToll asks for a branch's leg, before its INVITE. What goes to a phone that is registered here costs nothing, and an emergency
// call may cost what it will.
func (br *branch) placeToll() *TollRefusal {
	c, l := br.call, br.leg
	if c.bridge.with.Tolls == nil || br.target.backend == nil || br.target.binding.Contact != "" ||
		c.bridge.control.IsEmergency(dialledUser(c.in.req.Recipient)) {
		return nil
	}
	to := c.uri
	if br.target.uri != "" {
		to = br.target.uri
	}
	var uri sip.Uri
	if sip.ParseUri(to, &uri) != nil {
		return nil // the backend takes it for what it likes
	}
	return l.meter(Toll{User: c.user, Number: route.Plain(dialledUser(uri)), Via: br.target.backend.Pool()})
}

// meter has a leg's toll counted, until releaseQuota.
func (l *leg) meter(t Toll) *TollRefusal {
	m, no := l.call.bridge.with.Tolls.Place(t, func(why string) {
		l.post("toll stop", func() { l.call.fail(tollStopped(403, why)) })
	})
	if no == nil {
		l.counts.toll, l.counts.meter = &t, m
	}
	return no
}

// userOf is whom a transfer's call is counted as: who asked for it, else who is transferred.
func (c *call) userOf(t *transfer) string {
	for _, l := range []*leg{t.by, t.kept} {
		if l == c.caller && c.user != "" {
			return c.user
		}
		if l.aor != "" {
			return l.aor
		}
	}
	return ""
}
