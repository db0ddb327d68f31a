package bridge

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// sentOffer is an offer of ours in a re-INVITE that is out.
type sentOffer struct {
	seq    uint32
	before sdp.Leg
	rseqs  rseqs
	answer []byte // of a reliable provisional
	update bool   // it went in an UPDATE
	wish   bool   // it is none, but asks for one
	said   []byte // the answer to that
	echo   bool   // level's
	done   bool   // answered, refused or taken back: a 2xx that still comes is only ACKed
}

// offer applies an input to the leg's offer table and does what it says.
func (l *leg) offer(in offerInput) {
	next, do := l.offers.take(in)
	l.offers = next
	switch do {
	case offerSend:
		l.sendOffer()
	case offerWait:
		l.call.after(l.glareWait(), "offer again", func() { l.offer(offerRetry) })
	}
}

// glareWait is RFC 3261 §14.1's: whoever made the Call-ID waits longer.
func (l *leg) glareWait() time.Duration {
	if l.dialog.InviteSeq == 0 {
		return time.Duration(rand.IntN(201)) * 10 * time.Millisecond
	}
	return 2100*time.Millisecond + time.Duration(rand.IntN(191))*10*time.Millisecond
}

// sendOffer sends a re-INVITE with our offer, made of what the other side says now. It is never an UPDATE: SIP.js knows none,
// and an answer to UPDATE may not wait for a user.
func (l *leg) sendOffer() {
	if l.state != legConfirmed || l.peer == nil {
		l.settleOffer(480, "the browser's connection is gone")
		l.offers.Queued = l.state == legConfirmed // it is made once the browser is back
		return
	}
	if l.neg.Resting { // the browser took the stream away: it alone brings it back
		l.offer(answerHeard)
		l.call.far(l).answerWaiting()
		return
	}
	if l.neg.Direct {
		l.sendDirect()
		return
	}
	before := l.neg
	neg, text, err := l.ready(l.call.far(l).neg.Heard).Offer(l.call.far(l).neg.Heard)
	if err != nil {
		l.log.Warn("no offer", "error", err)
		l.settleOffer(statusOf(err), err.Error())
		return
	}
	l.neg = neg
	out := l.dialog.request(sip.INVITE)
	for _, h := range l.timer.refreshHeaders() {
		out.AppendHeader(h)
	}
	setSession(out.Request, text)
	sent := &sentOffer{seq: l.dialog.LocalSeq, before: before}
	l.sent = sent
	l.send(out, func(ev transaction.Event) { l.onAnswer(sent, ev) })
}

// onAnswer is the final response to our re-INVITE, or a repetition of its 2xx.
func (l *leg) onAnswer(sent *sentOffer, ev transaction.Event) {
	res := ev.Response
	if res != nil && res.IsSuccess() {
		l.dialog.hear(res)
		l.acknowledged(sent)
	}
	if sent.done || l.state != legConfirmed {
		return
	}
	sent.done, l.sent = true, nil
	switch {
	case res == nil && errors.Is(ev.Err, transaction.ErrFlowLost):
		l.refusedOffer(480, "the browser's connection is gone")
		l.offers.Queued = true
	case res == nil || lostDialog(res.StatusCode) || res.StatusCode == 408:
		l.neg = l.neg.Rollback()
		l.lost()
	case res.IsSuccess() && sent.wish:
		l.hearWished(sent, res)
	case res.IsSuccess():
		l.hearReanswer(sent, res)
	case l.lengthen(res):
		l.neg = l.neg.Rollback()
		l.sendOffer()
	case !l.asksFor(l.call.far(l)) && l.crossed(res):
		l.neg = l.neg.Rollback()
		l.offer(offerGlare)
		l.call.far(l).answerWaiting() // the retry will tell this side later
	default:
		l.refusedOffer(res.StatusCode, "the other side refused: "+res.Reason)
	}
}

// maxGlares is how often in a row an offer of ours is tried again for theirs that crossed it.
const maxGlares = 8

// crossed says whether our offer was refused for another that is open there: 491, or 500 with Retry-After (RFC 3261 §14.2).
func (l *leg) crossed(res *sip.Response) bool {
	glare := res.StatusCode == 491 || res.StatusCode == 500 && headerValue(res, "Retry-After") != ""
	if !glare || l.glares == maxGlares {
		return false
	}
	l.glares++
	return true
}

// hearReprovisional is a provisional to a re-INVITE of ours. A reliable one gets its PRACK, and is the answer where it has one.
func (l *leg) hearReprovisional(res *sip.Response) {
	sent := l.sent
	if reliableSeq(res) == 0 || sent == nil || res.CSeq().MethodName != sip.INVITE || res.CSeq().SeqNo != sent.seq {
		return
	}
	next, order := sent.rseqs.hear(reliableSeq(res))
	sent.rseqs = next
	if order != rseqNext {
		return
	}
	if body, err := sessionBody(res); err == nil && body != nil && sent.answer == nil {
		sent.answer = body
	}
	l.prack(&l.dialog, sent.seq, res, nil, func(ev transaction.Event) {
		if ev.Response == nil || !ev.Response.IsSuccess() {
			l.log.Warn("PRACK of a re-INVITE failed", "error", ev.Err)
		}
	})
}

// hearReanswer takes the answer to our re-INVITE.
func (l *leg) hearReanswer(sent *sentOffer, res *sip.Response) {
	body, err := sessionBody(res)
	if sent.answer != nil {
		body, err = sent.answer, nil
	}
	if err == nil && body == nil {
		err = errNoAnswer
	}
	neg := l.neg
	if err == nil {
		neg, err = l.neg.HearAnswer(body)
	}
	if err != nil {
		l.log.Warn("answer not understood", "error", err)
		l.refusedOffer(488, err.Error())
		return
	}
	l.neg, l.glares = neg, 0
	l.hearFrom()
	l.answerSent()
	l.startTimer()
	l.agreeTimer(res)
	l.call.join(l.call.caller, l.call.callee)
	l.offer(answerHeard)
	l.call.far(l).answerWaiting()
	l.level(sent)
	l.mend()
}

// mend goes on with what waited for the peer's answer.
func (l *leg) mend() {
	if then := l.mended; then != nil {
		l.mended = nil
		then()
	}
}

// refusedOffer leaves the session as it was (RFC 3264 §4) and says so to the other side.
func (l *leg) refusedOffer(status int, why string) {
	l.neg = l.neg.Rollback()
	l.refreshAgain()
	l.log.Info("offer refused", "status", status, "reason", why)
	l.settleOffer(status, why)
}

// settleOffer ends our offer without an answer. The offer of the other side that was its cause is refused too, but a browser's:
// a refused re-INVITE ends JsSIP's call and leaves SIP.js stuck, so it gets an answer with unchanged media.
func (l *leg) settleOffer(status int, why string) {
	l.offer(answerHeard)
	far := l.call.far(l)
	if far == nil || far.open == nil || !far.open.asking {
		return
	}
	if far.browser() {
		far.answerOpen()
		return
	}
	far.neg = far.neg.Rollback()
	far.dropOpen(status, why)
	far.offer(answerSaid)
}

// answerWaiting answers the offer for whose sake this side's counterpart was asked.
func (l *leg) answerWaiting() {
	if l.open != nil && l.open.asking {
		l.answerOpen()
	}
}
