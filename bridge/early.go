package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// answerIn is the answer that a response carries, nil where it has none or one that is not understood.
func (br *branch) answerIn(res *sip.Response) []byte {
	body, err := sessionBody(res)
	if err != nil {
		br.leg.log.Warn("body passed over", "status", res.StatusCode, "error", err)
	}
	return body
}

// passProgress gives the caller a 101–199, with the branch's early media where there is some. A failure in the telephone network
// may come only as tones there, so RTP flows before the 200.
func (c *call) passProgress(br *branch, res *sip.Response) {
	if s := c.searching; s != nil {
		c.noteRinging(res.StatusCode, br)
		s.origin.post("target rings", func() { s.origin.transferProgress(s.t, res.StatusCode, res.Reason) })
		return
	}
	tag, _ := res.To().Params.Get("tag")
	r := reply{status: res.StatusCode, reason: res.Reason}
	r.headers = append(r.headers, c.caller.contact())
	r.headers = append(r.headers, c.cross(c.caller, res.Headers())...)
	if c.direct {
		c.passEarly(br, br.early[tag], &r, reliableSeq(res) != 0)
	} else if early := br.early[tag]; early != nil && early.neg.Pending == sdp.Stable {
		r.body = c.earlyMedia(br, early)
	} else if c.owesOffer() {
		r.body = c.blindOffer()
	}
	c.noteRinging(res.StatusCode, br)
	c.progress(r)
}

// progress sends a provisional and repeats it each minute, lest a proxy give up (RFC 3261 §13.3.1.1). Before a browser there is
// none, and JsSIP would take the repeated SDP for another answer.
func (c *call) progress(r reply) {
	if c.caller.incoming == nil {
		return
	}
	if c.caller.provisional.covers(r) {
		c.caller.sayReliably(r)
		r.body = nil
	} else {
		c.respond(c.caller, c.caller.incoming.tx, r)
		c.caller.saidEarly(r)
	}
	c.again.stop()
	if c.caller.browser() {
		return
	}
	c.again = c.after(time.Minute, "provisional again", func() { c.progress(r) })
}

// saidEarly tells media that an answer is out.
func (l *leg) saidEarly(r reply) {
	if len(r.body) > 0 && l.neg.Pending == sdp.Stable {
		l.answerSent()
	}
}

// earlyMedia joins the legs as the early dialog says, and gives the body for the caller's provisional. A browser takes the first
// 18x with SDP as its answer, so there is one, and its text is the same ever after; so it is where the first goes reliably (RFC 3262
// §5). Other callers hear it again with each.
func (c *call) earlyMedia(br *branch, early *earlyDialog) []byte {
	first, err := c.earlySession(early)
	if err != nil {
		br.leg.log.Warn("early media passed over", "error", err)
		return nil
	}
	if c.caller.neg.Said == nil { // an offer of ours would need a PRACK for its answer
		return nil
	}
	c.ringing, br.sounds = br, early
	br.leg.neg = early.neg
	br.leg.hearFrom()
	br.leg.answerSent()
	if c.caller.neg.Pending == sdp.Stable {
		c.join(c.caller, br.leg)
	}
	if !first && (c.caller.browser() || c.caller.provisional.wanted) {
		return nil
	}
	return c.caller.neg.Repeat()
}

// earlySession makes the caller's first session description: the answer to its offer; where it made none, and acknowledges
// provisionals, our offer. first is false where it has one.
func (c *call) earlySession(early *earlyDialog) (first bool, err error) {
	l := c.caller
	neg := l.neg
	switch {
	case l.neg.Pending == sdp.HeardOffer:
		neg, _, err = l.ready(early.neg.Heard).Answer(early.neg.Heard)
	case l.neg.Said == nil && l.provisional.wanted:
		if err = l.openMedia(c.in.reached(), nil); err == nil {
			neg, _, err = l.ready(early.neg.Heard).Offer(early.neg.Heard)
		}
	default:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.neg = neg
	if neg.Heard != nil {
		l.hearFrom()
	}
	return true, nil
}

// owesOffer says that the caller made no offer, and wants ours in its first reliable provisional (RFC 3261 §13.2.1).
func (c *call) owesOffer() bool {
	return c.caller.incoming != nil && c.caller.incoming.delayed && c.caller.provisional.all && c.caller.neg.Said == nil
}

// blindOffer offers the caller what we relay, for no callee has said anything yet; nil where there is no room for media.
func (c *call) blindOffer() []byte {
	l := c.caller
	err := l.openMedia(c.in.reached(), nil)
	if err == nil {
		l.neg, _, err = l.ready(nil).Offer(nil)
	}
	if err != nil {
		l.log.Warn("no offer for the caller", "error", err)
		return nil
	}
	return l.neg.Repeat()
}

// join relays between two legs by what they agreed on; where they share nothing (yet) the relay stays as it is.
func (c *call) join(a, b *leg) {
	if a.media == nil || b.media == nil {
		return
	}
	if err := c.joinMedia(a, b); err != nil {
		c.log.Warn("no common media", "error", err)
	}
}

// joinMedia is join of legs with media; an error leaves the relay as it is.
func (c *call) joinMedia(a, b *leg) error {
	plan, err := sdp.Join(a.neg, b.neg)
	if err != nil {
		return err
	}
	c.bridge.with.Media.Join(a.media, b.media, plan)
	settleDigits(a, b, plan)
	noteConversion(a, b, plan)
	return nil
}

// restartRing gives the callee its time anew after each 101–199 (RFC 3261 §16.7 item 2).
func (c *call) restartRing() {
	if !c.ring.running() {
		return
	}
	c.ring = c.ring.restart(c.bridge.cfg.RingLimit)
}
