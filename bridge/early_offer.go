package bridge

import (
	"fmt"
	"math/rand/v2"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// Offers before the INVITE is answered: in an UPDATE (RFC 3311) or a PRACK (RFC 3262 §5). They are answered at once, for neither
// may wait for a user; what the other side must know of it goes there once the call is up, for JsSIP takes no offer before.

// refuseEarlyOffer says how an offer is refused by whose offer is open (RFC 3311 §5.2); 0: it is taken.
func refuseEarlyOffer(open sdp.Pending) int {
	switch open {
	case sdp.SaidOffer:
		return 491
	case sdp.HeardOffer:
		return 500
	}
	return 0
}

// onEarlyUpdate is an UPDATE before the INVITE has its final response.
func (l *leg) onEarlyUpdate(in inbound) {
	body, ok := l.updateBody(in)
	if !ok {
		return
	}
	d := l.dialogFor(in.req)
	d.hear(in.req)
	switch {
	case body == nil:
		l.call.respond(l, in.tx, reply{status: 200, headers: l.sessionHeaders()})
	case l == l.call.caller:
		l.answerEarlyOffer(in, body)
	default:
		br, e := l.call.branchOf(l), l.earlyFor(in.req)
		if br.over || e == nil {
			l.call.respond(l, in.tx, reply{status: 481})
			return
		}
		br.answerEarlyOffer(e, in, body)
	}
}

// answerEarlyOffer answers the caller's offer by what the branch that rings said.
func (l *leg) answerEarlyOffer(in inbound, body []byte) {
	c := l.call
	if l.refusedEarly(in, l.neg.Pending) {
		return
	}
	if l.neg.Direct {
		c.passCallerOffer(in, body)
		return
	}
	before := l.neg
	neg, err := l.answerAtOnce(before, body, c.ringing.description())
	if err != nil {
		c.respond(l, in.tx, reply{status: statusOf(err), why: err.Error()})
		return
	}
	l.neg = neg
	l.hearFrom()
	l.sayEarlyAnswer(in, neg)
	if c.ringing != nil {
		c.join(l, c.ringing.leg)
	}
	c.stale = c.stale || neg.Alters(before)
}

// answerEarlyOffer answers a callee's offer in one of its early dialogs.
func (br *branch) answerEarlyOffer(e *earlyDialog, in inbound, body []byte) {
	c, l := br.call, br.leg
	if l.refusedEarly(in, e.neg.Pending) {
		return
	}
	if l.neg.Direct {
		br.passCalleeOffer(e, in, body)
		return
	}
	before := e.neg
	neg, err := l.answerAtOnce(before, body, c.caller.neg.Heard)
	if err != nil {
		c.respond(l, in.tx, reply{status: statusOf(err), why: err.Error()})
		return
	}
	e.neg, e.answered = neg, true
	l.sayEarlyAnswer(in, neg)
	if br.sounds != e {
		return
	}
	l.neg = neg
	l.hearFrom()
	c.join(c.caller, l)
	if neg.Alters(before) && c.caller.neg.Pending == sdp.Stable && c.caller.neg.Heard != nil {
		c.caller.offers.Queued = true
	}
}

// refusedEarly refuses an offer that crosses another.
func (l *leg) refusedEarly(in inbound, open sdp.Pending) bool {
	if l.media == nil && !l.neg.Direct { // ours is still to come
		open = sdp.SaidOffer
	}
	r := reply{status: refuseEarlyOffer(open), why: "another offer is open"}
	if r.status == 500 {
		r.headers = append(r.headers, sip.NewHeader("Retry-After", fmt.Sprint(rand.IntN(11))))
	}
	if r.status != 0 {
		l.call.respond(l, in.tx, r)
	}
	return r.status != 0
}

// answerAtOnce hears an offer on a half of offer and answer and answers it by what the far side said.
func (l *leg) answerAtOnce(half sdp.Leg, body []byte, far *sdp.Description) (sdp.Leg, error) {
	neg, err := l.hearOffer(half, body)
	if err != nil {
		return half, err
	}
	if neg.Restarted(half) {
		neg.Local = l.media.Restart()
	}
	if neg.Rekeyed(half) {
		neg.Local = l.media.Rekey()
	}
	answered, _, err := l.readyFor(neg, far).Answer(far)
	if err != nil {
		return neg.Rollback(), err
	}
	return answered, nil
}

func (l *leg) sayEarlyAnswer(in inbound, neg sdp.Leg) {
	r := reply{status: 200, body: neg.Repeat()}
	if in.req.Method == sip.UPDATE {
		r.headers = l.sessionHeaders()
	}
	l.call.respond(l, in.tx, r)
	l.answerSent()
}

// description is what the branch's callee said; nil for none. Works on nil.
func (br *branch) description() *sdp.Description {
	if br == nil || br.leg.neg.Pending != sdp.Stable {
		return nil
	}
	return br.leg.neg.Heard
}
