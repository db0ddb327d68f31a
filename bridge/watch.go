package bridge

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// A direct call's media is not seen here, and so nobody's silence. Its ends are asked by OPTIONS within their dialogs, now and then,
// whether they still know the call (RFC 3261 §11, RFC 5057 §5.3), lest one goes on for ever that nobody is in any more.

// watch asks both ends after each Config.Watch while the call is direct.
func (c *call) watch() {
	if !c.direct {
		return
	}
	c.after(c.bridge.cfg.Watch, "watch", func() {
		if c.state != callUp {
			return
		}
		for _, l := range []*leg{c.caller, c.callee} {
			l.askAlive()
		}
		c.watch()
	})
}

// askAlive asks the leg's peer, unless it owes us that answer yet. Whatever it says is a sign of life, but that the dialog is gone:
// many refuse the method.
func (l *leg) askAlive() {
	if l.asked || !l.neg.Direct || l.state != legConfirmed {
		return
	}
	l.asked = true
	l.send(l.dialog.request(sip.OPTIONS), func(ev transaction.Event) {
		l.asked = false
		silent := ev.Response == nil && errors.Is(ev.Err, transaction.ErrTimeout)
		gone := ev.Response != nil && (ev.Response.StatusCode == 481 || ev.Response.StatusCode == 408)
		if l.state == legConfirmed && (silent || gone) {
			l.lost()
		}
	})
}
