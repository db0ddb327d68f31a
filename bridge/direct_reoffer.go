package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// crossDirect takes an offer in a direct call to the other side, whose answer it gets. One that says what it said before is answered as
// before.
func (l *leg) crossDirect(alters bool) {
	far := l.call.far(l)
	switch {
	case !alters:
		l.answerBy(l.neg.Said)
	case far.offers.Phase != offersStable || far.state != legConfirmed:
		l.neg = l.neg.Rollback()
		l.dropOpen(491, "the other side has an offer open")
		l.offer(answerSaid)
	default:
		l.ask(far)
	}
}

// passWish asks the other side for the offer that the peer's re-INVITE wants (RFC 3261 §14.2).
func (l *leg) passWish() { l.crossDirect(true) }

// sendDirect passes on to the peer what the far leg's says: its offer in a re-INVITE, or in an UPDATE where that came in one and the
// peer takes it, its wish for an offer, or, where nothing is open there, what it said last.
func (l *leg) sendDirect() {
	far := l.call.far(l)
	sent := &sentOffer{before: l.neg, echo: l.echo}
	l.echo = false
	method, text := sip.INVITE, []byte(nil)
	if far.open != nil && far.open.delayed {
		sent.wish = true
	} else {
		neg, said, err := l.neg.Offer(far.neg.Heard)
		if err != nil {
			l.log.Warn("no offer", "error", err)
			l.settleOffer(statusOf(err), err.Error())
			return
		}
		l.neg, text = neg, said
		if far.open != nil && far.open.in.req.Method == sip.UPDATE && l.dialog.allows(sip.UPDATE) {
			method, sent.update = sip.UPDATE, true
		}
	}
	out := l.dialog.request(method)
	for _, h := range l.timer.refreshHeaders() {
		out.AppendHeader(h)
	}
	setSession(out.Request, text)
	sent.seq = l.dialog.LocalSeq
	l.sent = sent
	l.send(out, func(ev transaction.Event) { l.onAnswer(sent, ev) })
}

// acknowledged sends the ACK of a 2xx to an offer of ours. To a wish of the far leg's it brings the answer, and waits for it.
func (l *leg) acknowledged(sent *sentOffer) {
	if sent.update || sent.wish && sent.said == nil {
		return
	}
	l.ack(l.dialog, sent.seq, sent.said)
}

// hearWished takes the offer that the peer was asked for to the side that wanted it, whose ACK brings the answer.
func (l *leg) hearWished(sent *sentOffer, res *sip.Response) {
	far := l.call.far(l)
	body, err := sessionBody(res)
	heard := l.neg
	if err == nil {
		heard, err = l.neg.HearOffer(body) // the unchanged one with an error
	}
	said := far.neg
	if err == nil && far.open != nil {
		said, _, err = far.neg.Offer(heard.Heard)
	}
	if err != nil || far.open == nil { // what it was for is gone
		l.log.Warn("offer of no use", "error", err)
		l.neg, l.owed = heard, sent.seq
		l.answerWish(sent, l.neg.Said)
		l.settleOffer(488, "the other side made no offer")
		return
	}
	l.neg, l.owed, far.neg = heard, sent.seq, said
	l.startTimer()
	l.agreeTimer(res)
	far.say200(func(ack *sip.Request) {
		if err := far.hearDelayed(ack); err != nil {
			far.log.Warn("no usable answer in the ACK", "error", err)
			far.neg = far.neg.Rollback()
		}
		if l.owed == sent.seq {
			l.answerWish(sent, far.neg.Heard)
		}
		far.offer(answerSaid)
	})
}

// answerWish sends the ACK with the answer, if there was an offer.
func (l *leg) answerWish(sent *sentOffer, answer *sdp.Description) {
	l.owed, sent.said = 0, []byte{}
	if neg, text, err := l.neg.Answer(answer); err == nil {
		l.neg, sent.said = neg, text
	}
	l.acknowledged(sent)
	l.offer(answerHeard)
}

// level has a side told anew what the other says, where an exchange left the two apart: an answer came after it was given up, or
// one to a refresh said something new. It does so once, lest they never agree.
func (l *leg) level(sent *sentOffer) {
	far := l.call.far(l)
	switch {
	case !l.neg.Direct || !far.neg.Direct || sent.echo || far.open != nil || far.neg.Pending != sdp.Stable:
	case !l.neg.Said.Same(far.neg.Heard):
		l.echo = true
		l.offer(offerWanted)
	case !far.neg.Said.Same(l.neg.Heard):
		far.echo = true
		far.offer(offerWanted)
	}
}

// asksFor says whether our offer is a direct call's that the far leg's peer made: how it is refused is for that one.
func (l *leg) asksFor(far *leg) bool { return l.neg.Direct && far.open != nil && far.open.asking }

// tooSlow refuses an UPDATE whose answer is not there in time (RFC 3311 §5.2).
func (l *leg) tooSlow() {
	if l.open == nil || !l.open.asking {
		return
	}
	l.neg = l.neg.Rollback()
	l.dropOpen(504, "the other side did not answer in time")
	l.offer(answerSaid)
}
