package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// Before the answer each early dialog of the callee's is one of its own to the caller of a direct call, too (RFC 3261 §12.1): their media
// comes from different places.

// passEarly puts what an early dialog says into the caller's provisional. Only what the callee said reliably goes reliably, for else
// the 2xx may still say something else.
func (c *call) passEarly(br *branch, e *earlyDialog, r *reply, reliable bool) {
	l := c.caller
	r.plain = !reliable && !l.provisional.all
	switch {
	case l.incoming == nil || e == nil:
	case e.neg.Pending == sdp.HeardOffer && l.neg.Said == nil && l.provisional.wanted:
		l.openDirect()
		neg, text, err := l.neg.Offer(e.neg.Heard)
		if err != nil {
			br.leg.log.Warn("early offer passed over", "error", err)
			return
		}
		l.neg, r.body, r.plain = neg, text, false
		c.ringing, br.sounds, e.tag = br, e, l.dialog.LocalTag
	case e.neg.Pending == sdp.Stable && e.neg.Heard != nil && !l.incoming.delayed:
		c.passEarlyAnswer(br, e, r)
	case e.tag != "":
		r.tag = e.tag
	}
}

// passEarlyAnswer is passEarly of an answer: the first early dialog goes on in the one that the caller has, others in new ones, where
// they cannot go reliably.
func (c *call) passEarlyAnswer(br *branch, e *earlyDialog, r *reply) {
	l := c.caller
	in := l.incoming
	if in.offered.Heard == nil {
		in.offered = l.neg
	}
	first := l.neg.Pending == sdp.HeardOffer
	switch {
	case e.firm:
		r.tag = e.tag
		return
	case first:
		e.tag = l.dialog.LocalTag
	case e.tag == "" && l.provisional.all:
		return
	case e.tag == "":
		e.tag = c.bridge.ids.tag()
	}
	neg, text, err := in.offered.Reopened(e.said).Answer(e.neg.Heard)
	if err != nil {
		br.leg.log.Warn("early media passed over", "error", err)
		return
	}
	e.said, r.tag, r.body = neg, e.tag, text
	if e.tag != l.dialog.LocalTag {
		r.plain = true
		return
	}
	l.neg, c.ringing, br.sounds = neg, br, e
	e.firm = l.provisional.covers(*r)
}

// passPrackAnswer gives the callee's early dialog the answer that the caller's PRACK brought, in the PRACK that waits for it.
func (c *call) passPrackAnswer() {
	br := c.ringing
	if br == nil || br.sounds == nil || br.sounds.owed == nil || br.sounds.neg.Pending != sdp.HeardOffer {
		return
	}
	e := br.sounds
	neg, text, err := e.neg.Answer(c.caller.neg.Heard)
	if err != nil {
		br.leg.log.Warn("no answer for the PRACK", "error", err)
		return
	}
	e.neg, e.answered, e.firm = neg, true, true
	br.leg.neg = neg
	br.leg.prack(&e.dialog, br.leg.dialog.InviteSeq, e.owed, text, br.onPracked)
	e.owed = nil
}

// passedOffer is one before the answer, in PRACK or UPDATE, on its way to the other side as an UPDATE (RFC 3311).
type passedOffer struct {
	in   inbound
	from *leg
	then func() // what waits for its end
}

// passCallerOffer passes on an offer of the caller's.
func (c *call) passCallerOffer(in inbound, body []byte) {
	l, br := c.caller, c.ringing
	if br == nil || br.sounds == nil {
		c.respond(l, in.tx, reply{status: 491, why: "nobody has answered the earlier offer yet"})
		return
	}
	e := br.sounds
	c.pass(&passedOffer{in: in, from: l}, body, &l.neg, br.leg, &e.dialog, &e.neg, e.answered && !br.over)
}

// passCalleeOffer passes on an offer of the callee's in one of its early dialogs.
func (br *branch) passCalleeOffer(e *earlyDialog, in inbound, body []byte) {
	c := br.call
	l := c.caller
	c.pass(&passedOffer{in: in, from: br.leg}, body, &e.neg, l, &l.dialog, &l.neg, br.sounds == e && l.provisional.answered && l.incoming != nil)
}

// pass sends an offer on; half is the offerer's half of offer and answer. It is refused where the earlier exchange is not at its end on
// the other side, or that takes no UPDATE.
func (c *call) pass(p *passedOffer, body []byte, half *sdp.Leg, to *leg, d *Dialog, other *sdp.Leg, ready bool) {
	refuse := func(status int, why string) { c.respond(p.from, p.in.tx, reply{status: status, why: why}) }
	switch {
	case !ready || c.passing != nil || other.Pending != sdp.Stable || half.Pending != sdp.Stable:
		refuse(491, "the other side is not ready for an offer")
		return
	case !d.allows(sip.UPDATE):
		refuse(488, "the other side takes no offer before its answer")
		return
	}
	heard, err := half.HearOffer(body)
	if err != nil {
		refuse(statusOf(err), err.Error())
		return
	}
	said, text, err := other.Offer(heard.Heard)
	if err != nil {
		refuse(statusOf(err), err.Error())
		return
	}
	*half, *other = heard, said
	c.passing = p
	out := d.request(sip.UPDATE)
	setSession(out.Request, text)
	to.send(out, func(ev transaction.Event) {
		if c.passing == p {
			c.passed(p, ev, half, other)
		}
	})
}

// passed answers the offer as the other side did.
func (c *call) passed(p *passedOffer, ev transaction.Event, half, other *sdp.Leg) {
	c.passing = nil
	r := reply{status: 500, why: "the other side did not answer"}
	if res := ev.Response; res != nil && !res.IsSuccess() {
		r = reply{status: res.StatusCode, why: "the other side refused: " + res.Reason}
	} else if res != nil {
		body, err := sessionBody(res)
		if err == nil {
			err = answerBoth(half, other, body)
		}
		r = reply{status: 488, why: "the other side gave no answer"}
		if err == nil {
			r = reply{status: 200, body: half.Repeat()}
		}
	}
	if r.status != 200 {
		*half, *other = half.Rollback(), other.Rollback()
	} else if p.in.req.Method == sip.UPDATE {
		r.headers = p.from.sessionHeaders()
	}
	c.respond(p.from, p.in.tx, r)
	for _, br := range c.branches {
		if e := br.sounds; e != nil {
			br.leg.neg, e.said = e.neg, c.caller.neg
		}
	}
	if p.then != nil {
		p.then()
	}
}

// answerBoth hears the answer on one half and says it on the other.
func answerBoth(half, other *sdp.Leg, body []byte) error {
	heard, err := other.HearAnswer(body)
	if err != nil {
		return err
	}
	said, _, err := half.Answer(heard.Heard)
	if err != nil {
		return err
	}
	*half, *other = said, heard
	return nil
}

// afterPassing does something once no offer is on its way any more.
func (c *call) afterPassing(do func()) {
	if c.passing == nil {
		do()
		return
	}
	c.passing.then = do
}

// dropPassing refuses what is on its way, for the call ends.
func (c *call) dropPassing() {
	if p := c.passing; p != nil {
		c.passing = nil
		c.respond(p.from, p.in.tx, reply{status: 487, why: "the call ended"})
	}
}
