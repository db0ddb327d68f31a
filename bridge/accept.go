package bridge

import (
	"fmt"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// accept makes a branch the winner, or the leg that came from another call where there is no branch: ACK to the callee, answer
// heard, 200 to the caller, media joined.
func (c *call) accept(br *branch, res *sip.Response) {
	c.ring.stop()
	c.expiry.stop()
	switch {
	case c.heir != nil:
		c.acceptPickedUp()
		return
	case br == nil:
		c.acceptTaken()
		return
	}
	c.again.stop()
	br.leg.step(legHeard2xx) // the ACK goes out at once, whatever comes of the answer
	c.callee = br.leg
	c.afterPassing(func() { c.acceptBranch(br, res) })
}

// acceptBranch goes on with the winner.
func (c *call) acceptBranch(br *branch, res *sip.Response) {
	br.leg.offers, _ = br.leg.offers.take(offerConfirmed)
	c.ringing = br
	br.leg.agreeTimer(res)
	if err := br.hearFinal(res); err != nil {
		c.fail(badSession(byCallee, err))
		return
	}
	if c.searching != nil {
		c.searchAnswered(br)
		return
	}
	c.caller.afterPracks(func() { c.acceptCaller(br, res) })
}

// acceptCaller sends the caller its 200.
func (c *call) acceptCaller(br *branch, res *sip.Response) {
	c.caller.policy.Transcode = br.leg.policy.Transcode // where the winner's leg converts, the caller's does too
	c.caller.neg.Policy = c.caller.policy
	err := error(nil)
	if c.direct {
		err = c.passAnswer(br)
	} else {
		err = c.answerCaller()
	}
	if err != nil {
		c.fail(badSession(byCaller, err))
		return
	}
	c.noteAnswer(br.leg.backend)
	c.startTape()
	c.caller.incoming.headers = c.cross(c.caller, res.Headers())
	c.caller.step(legAccept)
	c.join(c.caller, c.callee)
}

// hearFinal takes the answer of the 2xx; without one, that of its early dialog counts (RFC 6337 §3.1.1 lets a peer give it once).
func (br *branch) hearFinal(res *sip.Response) error {
	if br.leg.owed != 0 {
		return nil
	}
	body, err := sessionBody(res)
	if err != nil {
		return err
	}
	early := br.early[br.tag]
	if body == nil || early != nil && early.answered {
		if early == nil || early.neg.Pending != sdp.Stable {
			return errNoAnswer
		}
		br.leg.neg = early.neg
	} else if br.leg.neg, err = br.offered.HearAnswer(body); err != nil {
		return fmt.Errorf("answer of the callee: %w", err)
	}
	br.leg.hearFrom()
	br.leg.answerSent()
	return nil
}

// answerCaller makes what the caller's 200 says: the answer, or the one that it has already, or our offer where it made none.
func (c *call) answerCaller() error {
	l := c.caller
	switch {
	case l.neg.Pending == sdp.HeardOffer:
		neg, text, err := l.ready(c.callee.neg.Heard).Answer(c.callee.neg.Heard)
		if err != nil {
			return err
		}
		l.neg, l.incoming.said = neg, text
		l.hearFrom() // less is heard where the answer refused a stream
	case l.neg.Heard != nil:
		if c.heir == nil && !c.covered() { // who picked up mends it
			l.log.Info("the winner's codec is not in the early answer: a re-INVITE will follow")
			l.offers.Queued = true
		}
	default:
		if err := l.openMedia(c.in.reached(), nil); err != nil {
			return err
		}
		neg, text, err := l.ready(c.callee.neg.Heard).Offer(c.callee.neg.Heard)
		if err != nil {
			return err
		}
		l.neg, l.incoming.said = neg, text
	}
	return nil
}

// covered says whether the caller's early answer names the codec that the winner prefers, or the caller never had it.
func (c *call) covered() bool {
	plan, err := sdp.Join(c.caller.neg, c.callee.neg)
	if err != nil || len(plan.Streams) == 0 {
		return false
	}
	for _, s := range c.callee.neg.Heard.Streams {
		if s.Relayed && s.Kind == "audio" && len(s.Codecs) > 0 {
			planned := plan.Streams[sdp.Audio]
			return planned.Codec[1].Same(s.Codecs[0]) &&
				!(planned.Transcode && slices.ContainsFunc(c.caller.neg.Bound, s.Codecs[0].Same))
		}
	}
	return true
}

// accept sends the caller's 200, and again and again until its ACK.
func (l *leg) accept() {
	in := l.incoming
	r := reply{status: 200, body: in.said}
	if r.body == nil {
		r.body = l.neg.Repeat()
	}
	if l.provisional.answered && in.delayed {
		r.body = nil // it would be an offer
	}
	r.headers = append(append(r.headers, l.contact()), l.capabilities()...)
	r.headers = append(r.headers, l.timer.headers()...)
	r.headers = append(r.headers, in.headers...)
	l.repeat2xx(in.tx, r, func() {
		l.call.because(ackTimeout())
		l.bye = ackTimeout().reasonFor()
		l.gone(legAckTimeout)
		l.call.step(callFault, nil, nil)
	})
	l.call.dropInvite()
	l.answerSent()
}

// refuse sends the caller the final response by the reason for which the call ends.
func (l *leg) refuse() {
	in := l.incoming
	if in == nil {
		return
	}
	l.provisional.refused()
	t := *l.call.term
	r := reply{status: t.Status, reason: t.Phrase, headers: t.Headers}
	if header := t.reasonFor(); header != "" {
		r.headers = append(r.headers, sip.NewHeader("Reason", header))
	}
	l.call.respond(l, in.tx, r)
	l.call.dropInvite()
}

// repetition is a 2xx to an INVITE that waits for its ACK (RFC 3261 §13.3.1.4): ours, not the transaction's.
type repetition struct {
	timer *timer
	onAck func(ack *sip.Request)
}

const (
	t2          = 4 * time.Second
	ackPatience = 64 // times T1
)

// repeat2xx sends a 2xx and repeats it, T1 doubling to T2, until the ACK of its CSeq; after 64·T1 lost is called once.
func (l *leg) repeat2xx(tx *transaction.Server, r reply, lost func()) *repetition {
	c := l.call
	seq := tx.Request().CSeq().SeqNo
	r.tag = l.dialog.LocalTag
	r.headers = append(r.headers, c.sessionID(l))
	res := c.bridge.response(tx.Request(), r)
	rep := &repetition{}
	if l.repeats == nil {
		l.repeats = map[uint32]*repetition{}
	}
	l.repeats[seq] = rep
	began := time.Now()
	var send func(wait time.Duration)
	send = func(wait time.Duration) {
		if err := tx.Respond(res); err != nil {
			l.log.Debug("2xx not sent", "error", err)
		}
		rep.timer = c.after(wait, "2xx again", func() {
			if time.Since(began) >= ackPatience*c.bridge.cfg.T1 {
				delete(l.repeats, seq)
				lost()
				return
			}
			send(min(2*wait, t2))
		})
	}
	send(c.bridge.cfg.T1)
	return rep
}

// onAck is the ACK of a 2xx of ours.
func (l *leg) onAck(req *sip.Request) {
	rep := l.repeats[req.CSeq().SeqNo]
	if rep == nil {
		return // a repetition of the ACK
	}
	rep.timer.stop()
	delete(l.repeats, req.CSeq().SeqNo)
	if rep.onAck != nil {
		rep.onAck(req)
		return
	}
	l.onFirstAck(req)
}

// onFirstAck confirms the caller's leg. It carries the answer where our 200 made the offer.
func (l *leg) onFirstAck(req *sip.Request) {
	c := l.call
	was := l.state
	if l.neg.Pending == sdp.SaidOffer {
		if err := l.hearDelayed(req); err != nil {
			c.because(badSession(byCaller, err))
			l.gone(legHeardAck)
			c.step(callFault, nil, nil)
			return
		}
		c.callee.acknowledge(l.neg.Heard)
		c.join(c.caller, c.callee)
	}
	l.gone(legHeardAck)
	if was == legAccepted {
		c.step(callConfirm, nil, nil)
	}
}

// hearDelayed takes the answer that an ACK carries.
func (l *leg) hearDelayed(ack *sip.Request) error {
	body, err := sessionBody(ack)
	if err != nil {
		return err
	}
	if body == nil {
		return errNoAnswer
	}
	neg, err := l.neg.HearAnswer(body)
	if err != nil {
		return err
	}
	l.neg = neg
	l.hearFrom()
	l.answerSent()
	return nil
}

// confirmed is the caller's ACK: what waited for it may go on.
func (c *call) confirmed() {
	c.log.Info("confirmed")
	c.letGo()
	c.expectMedia()
	c.watch()
	c.caller.startTimer()
	c.caller.offer(offerConfirmed)
	c.ringing = nil
	if c.heir != nil {
		c.giveCaller()
		return
	}
	if c.stale && c.callee != nil {
		c.callee.offer(offerWanted)
	}
}

// letGo forgets what only the search needed: the caller's INVITE, and branches that have ended.
func (c *call) letGo() {
	c.in, c.stages, c.best = inbound{}, nil, nil
	c.branches = slices.DeleteFunc(c.branches, func(br *branch) bool { return br.leg == c.callee || br.leg.state == legGone }) // clears the rest
}
