package bridge

import (
	"fmt"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// A call is direct where both its sides are told so: what one peer says of its session goes to the other as it is (sdp.NewDirect), and
// their packets go from the one to the other. There is no media of ours then, and no answer: what a peer offers is answered by the
// other, however early; see direct_early.go and direct_reoffer.go. A leg that comes to sit with another peer than it began with has
// its media carried here from then on, for the two do not know each other's session.

// goesDirect says whether the call may be direct: no browser, nothing to be recorded, and the same wish at both ends of every attempt.
func (c *call) goesDirect(stages []stage) bool {
	if c.caller.browser() || c.tape != nil {
		return false
	}
	own := c.caller.peering()
	for _, s := range stages {
		for _, t := range s {
			if !c.directTo(own, t) {
				return false
			}
		}
	}
	return true
}

// directTo says whether a target and the caller may be direct: both say so and want the same protection, for what protects their
// packets they agree on between themselves. A callee that insists on reliable provisionals, and makes the offer, needs a caller that
// acknowledges them.
func (c *call) directTo(own *Peering, t target) bool {
	if !own.Direct || t.backend == nil {
		return false
	}
	far := c.bridge.peering(t.backend.Name())
	in := c.caller.incoming
	return far.Direct && far.SDP.Keying == own.SDP.Keying && far.SDP.Required == own.SDP.Required &&
		(far.Reliable != ReliableRequire || c.caller.provisional.wanted || in == nil || !in.delayed)
}

// suits says whether a target may be tried in the place of a branch. One that is not direct may, as long as the caller has heard nothing
// and nobody else rings: the call is relayed then.
func (c *call) suits(t target, instead *branch) bool {
	if !c.direct || c.directTo(c.caller.peering(), t) {
		return true
	}
	others := slices.ContainsFunc(c.branches, func(br *branch) bool { return br != instead && !br.over })
	if c.caller.neg.Said != nil || others {
		return false
	}
	c.record.Direct = false
	if err := c.relay(); err != nil {
		c.log.Warn("media cannot be relayed", "error", err)
		return false
	}
	return true
}

// openDirect starts the leg's half of offer and answer without media.
func (l *leg) openDirect() {
	l.neg = sdp.NewDirect(l.policy, uint64(time.Now().UnixNano())>>1)
}

// relay has the gateway carry the media of the call's two legs from now on. Their peers hear of it by what is offered or answered next.
func (c *call) relay() error {
	c.direct = false
	for _, l := range []*leg{c.caller, c.callee} {
		if l == nil || !l.neg.Direct || l.media != nil {
			continue
		}
		if err := l.relay(); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

func (l *leg) relay() error {
	was := l.neg
	if was.Pending == sdp.HeardOffer && was.Said == nil {
		return l.hearFirst([]byte(was.Heard.Body), addr{})
	}
	if err := l.openMedia(addr{}, nil); err != nil {
		return err
	}
	neg, err := was.Relayed(l.neg.Local)
	if err != nil {
		return err
	}
	l.neg = neg
	if neg.Heard != nil {
		l.hearFrom()
	}
	return nil
}

// asksReliably says whether the leg's INVITE may offer reliable provisionals: in the first of them a callee makes the offer where we make
// none, and it is the caller's to answer.
func (c *call) asksReliably() bool {
	return !c.direct || c.caller.incoming == nil || !c.caller.incoming.delayed || c.caller.provisional.wanted
}

// hearOffered takes the offer that a callee's 2xx makes where our INVITE made none: the ACK waits for the caller's answer.
func (br *branch) hearOffered(body []byte) {
	l := br.leg
	if e := br.early[br.tag]; !l.neg.Direct || br.offered.Said != nil || e != nil && e.answered {
		return
	}
	if neg, err := br.offered.HearOffer(body); err == nil {
		l.neg, l.owed = neg, l.dialog.InviteSeq
	}
}

// acknowledge answers by the ACK what the peer offered in its 2xx.
func (l *leg) acknowledge(far *sdp.Description) {
	if l.owed == 0 {
		return
	}
	neg, text, err := l.neg.Answer(far)
	if err != nil {
		l.log.Warn("no answer for the ACK", "error", err)
		return
	}
	l.neg, l.owed, l.answered = neg, 0, text
	l.sendAck()
}

// forsake acknowledges what the peer offered in a 2xx though nobody is there to answer it: it takes nothing.
func (l *leg) forsake() {
	if seq := l.owed; seq != 0 {
		l.owed = 0
		l.ack(l.dialog, seq, l.neg.Heard.Refusing())
	}
}

// passAnswer makes of what the callee said what the caller's 200 says, in the dialog of that fork.
func (c *call) passAnswer(br *branch) (err error) {
	l, said := c.caller, c.callee.neg.Heard
	in := l.incoming
	switch {
	case in.delayed && c.callee.owed == 0: // all was said in provisionals and their PRACKs
		return nil
	case in.delayed:
		l.openDirect()
		l.neg, in.said, err = l.neg.Offer(said)
		return err
	case l.neg.Pending == sdp.HeardOffer:
		l.neg, in.said, err = l.neg.Answer(said)
		return err
	}
	e := br.early[br.tag]
	if e == nil || e.tag == "" {
		l.fork(c.bridge.ids.tag())
		l.neg, in.said, err = in.offered.Answer(said)
		return err
	}
	if e.tag != l.dialog.LocalTag {
		l.fork(e.tag)
		l.neg = e.said
	}
	if e.firm { // what differs is for a re-INVITE
		l.offers.Queued = !said.Same(l.neg.Said)
		return nil
	}
	l.neg, in.said, err = in.offered.Reopened(l.neg).Answer(said)
	return err
}

// fork makes another of the caller's early dialogs the leg's own.
func (l *leg) fork(tag string) {
	l.dialog.LocalTag, l.dialog.RemoteSeq = tag, l.dialog.FirstSeq
	l.register()
}

// refusing is an answer that takes nothing to what a further fork offers in its 2xx; nil where we made the offer.
func (br *branch) refusing(res *sip.Response) []byte {
	body := br.answerIn(res)
	if !br.offered.Direct || br.offered.Said != nil || body == nil {
		return nil
	}
	return (&sdp.Description{Body: string(body)}).Refusing()
}
