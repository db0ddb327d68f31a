package bridge

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// openOffer is an offer of the peer's in a re-INVITE or UPDATE that we owe an answer.
type openOffer struct {
	in      inbound
	asking  bool   // the other side was asked; its answer decides
	delayed bool   // the re-INVITE had no offer: ours stands in the 200
	limit   *timer // an UPDATE's, while the other side is asked
}

// updatePatience is how many times T1 the other side has to answer for an UPDATE.
const updatePatience = 8

// onReinvite is an INVITE within the dialog (RFC 3261 §14.2).
func (l *leg) onReinvite(in inbound) {
	body, err := sessionBody(in.req)
	if err != nil {
		l.call.respond(l, in.tx, reply{status: statusOf(err), why: err.Error(), headers: []sip.Header{sip.NewHeader("Accept", "application/sdp")}})
		return
	}
	l.hearReoffer(in, body)
}

// hearReoffer takes the peer's offer, or its wish for one of ours where body is nil.
func (l *leg) hearReoffer(in inbound, body []byte) {
	c := l.call
	input := offerHeard
	if l.browser() { // JsSIP ends a call whose re-INVITE is refused twice, SIP.js cannot roll back
		input = offerYield
	}
	next, do := l.offers.take(input)
	switch {
	case do == offerRefuse491 || c.far(l) == nil:
		c.respond(l, in.tx, reply{status: 491, why: "an offer of ours is open"})
		return
	case do == offerRefuse500:
		retry := sip.NewHeader("Retry-After", fmt.Sprint(rand.IntN(11)))
		c.respond(l, in.tx, reply{status: 500, why: "the earlier offer is still open", headers: []sip.Header{retry}})
		return
	}
	if r, bad := tooShort(in.req); bad && !l.browser() {
		c.respond(l, in.tx, r)
		return
	}
	l.offers = next
	l.yield()
	l.open = &openOffer{in: in, delayed: body == nil}
	l.dialog.hear(in.req)
	l.agreeTimer(in.req)
	switch {
	case body == nil && l.neg.Direct:
		l.passWish()
		return
	case body == nil:
		l.offerInAnswer()
		return
	}
	before := l.neg
	neg, err := l.hearOffer(before, body)
	if err != nil {
		l.refuseOpen(err)
		return
	}
	if neg.Restarted(before) {
		neg.Local = l.media.Restart()
	}
	if neg.Rekeyed(before) {
		neg.Local = l.media.Rekey()
	}
	l.neg = neg
	if before.Resting {
		c.expectMedia()
	}
	l.crossOffer(neg.Alters(before))
}

// yield takes our open offer back, for the peer's, which answers ours with 491, or because ours went nowhere. Ours is made anew when
// its turn comes.
func (l *leg) yield() {
	if l.sent == nil {
		return
	}
	l.sent.done, l.sent = true, nil
	l.neg = l.neg.Rollback()
	l.offers.Queued = true
}

// crossOffer tells the other side of a new offer where it must know. ICE restarts and session refreshes stay on this side; so
// does, for now, what comes while the other side is busy with an offer of its own.
func (l *leg) crossOffer(alters bool) {
	far := l.call.far(l)
	switch {
	case l.neg.Direct:
		l.crossDirect(alters)
	case !alters:
		l.answerOpen()
	case far.peer == nil: // a browser is never dialled
		l.neg = l.neg.Rollback()
		l.dropOpen(480, "the browser's connection is gone")
		l.offer(answerSaid)
	case far.offers.Phase == offersStable && far.state == legConfirmed:
		l.ask(far)
	default:
		l.answerOpen()
		far.offer(offerWanted)
	}
}

// ask has the far leg's peer asked before the open offer is answered.
func (l *leg) ask(far *leg) {
	l.open.asking = true
	late := l.answerWaiting
	if l.neg.Direct {
		late = l.tooSlow
	}
	if l.open.in.req.IsInvite() {
		l.call.respond(l, l.open.in.tx, reply{status: 100})
	} else { // it may not wait for a user (RFC 3311 §5.2)
		l.open.limit = l.call.after(updatePatience*l.call.bridge.cfg.T1, "UPDATE", late)
	}
	far.offer(offerWanted)
}

// answerOpen answers the peer's offer by what the other side last said.
func (l *leg) answerOpen() { l.answerBy(l.call.far(l).neg.Heard) }

// answerBy answers the peer's offer by what a description of the other side says.
func (l *leg) answerBy(far *sdp.Description) {
	neg, _, err := l.ready(far).Answer(far)
	if err != nil {
		l.neg = l.neg.Rollback()
		l.refuseOpen(err)
		return
	}
	l.neg = neg
	l.hearFrom()
	l.say200(nil)
	l.answerSent()
	l.call.join(l.call.caller, l.call.callee)
	l.offer(answerSaid)
}

// refuseOpen refuses the peer's offer. A browser's of which nothing is left to relay is answered all the same, each m-line
// rejected: JsSIP ends a call whose re-INVITE is refused, SIP.js cannot roll back. The other side then hears that media rests.
func (l *leg) refuseOpen(why error) {
	l.log.Warn("offer refused", "error", why)
	if l.browser() && errors.Is(why, sdp.ErrNotAcceptable) {
		body, _ := sessionBody(l.open.in.req) // it was read before
		neg, _, err := l.neg.Decline(body)
		if err == nil {
			l.neg = neg
			l.say200(nil)
			l.call.join(l.call.caller, l.call.callee)
			l.offer(answerSaid)
			l.call.far(l).offer(offerWanted)
			return
		}
		why = err
	}
	l.dropOpen(statusOf(why), why.Error())
	l.offer(answerSaid)
}

// offerInAnswer makes our offer in the 200 to a re-INVITE without one; its ACK carries the answer (RFC 3261 §14.2).
func (l *leg) offerInAnswer() {
	before, wish := l.neg, l.call.far(l).neg.Wish()
	neg, _, err := l.ready(wish).Offer(wish)
	if err != nil {
		l.dropOpen(statusOf(err), err.Error())
		l.offer(answerSaid)
		return
	}
	l.neg = neg
	l.say200(func(ack *sip.Request) {
		if err := l.hearDelayed(ack); err != nil {
			l.log.Warn("no usable answer in the ACK", "error", err)
			l.neg = l.neg.Rollback()
		}
		l.call.join(l.call.caller, l.call.callee)
		l.offer(answerSaid)
		if l.neg.Alters(before) {
			l.call.far(l).offer(offerWanted)
		}
	})
}

// say200 answers the open re-INVITE or UPDATE with our latest description.
func (l *leg) say200(onAck func(*sip.Request)) {
	tx := l.open.in.tx
	invite := l.open.in.req.IsInvite()
	l.open.limit.stop()
	l.open = nil
	r := reply{status: 200, headers: l.sessionHeaders(), body: l.neg.Repeat()}
	l.startTimer()
	if !invite {
		l.call.respond(l, tx, r)
		return
	}
	if onAck == nil {
		onAck = func(*sip.Request) {}
	}
	l.repeat2xx(tx, r, func() { l.call.fail(ackTimeout()) }).onAck = onAck
}

// dropOpen refuses the open offer; the session stays as it was.
func (l *leg) dropOpen(status int, why string) {
	if l.open == nil {
		return
	}
	tx := l.open.in.tx
	l.open.limit.stop()
	l.open = nil
	l.call.respond(l, tx, reply{status: status, why: why})
}
