package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
)

// hearEarly notes what a provisional says of its early dialog: the dialog, and its answer to our offer.
func (br *branch) hearEarly(res *sip.Response) {
	tag, _ := res.To().Params.Get("tag")
	if tag == "" {
		return
	}
	br.call.hearSessionID(br.leg, res)
	early, known := br.early[tag]
	if !known {
		early.neg = br.offered
	}
	early.dialog = br.leg.dialog.answered(res)
	if body := br.answerIn(res); body != nil {
		if neg, err := br.offered.HearAnswer(body); err != nil {
			br.leg.log.Warn("early answer passed over", "status", res.StatusCode, "error", err)
		} else {
			early.neg = neg
		}
	}
	br.early[tag] = early
}

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
	tag, _ := res.To().Params.Get("tag")
	r := reply{status: res.StatusCode, reason: res.Reason}
	r.headers = append(r.headers, c.caller.contact())
	r.headers = append(r.headers, c.cross(c.caller, res.Headers())...)
	if early, ok := br.early[tag]; ok && early.neg.Pending == sdp.Stable {
		r.body = c.earlyMedia(br, early)
	}
	c.noteRinging(res.StatusCode, br)
	c.progress(r)
	if len(r.body) > 0 && c.caller.media != nil {
		c.caller.media.AnswerSent()
	}
}

// progress sends a provisional and repeats it each minute, lest a proxy give up (RFC 3261 §13.3.1.1). Before a browser there is
// none, and JsSIP would take the repeated SDP for another answer.
func (c *call) progress(r reply) {
	if c.caller.incoming == nil {
		return
	}
	c.respond(c.caller, c.caller.incoming.tx, r)
	c.again.stop()
	if c.caller.browser() {
		return
	}
	c.again = c.after(time.Minute, "provisional again", func() { c.progress(r) })
}

// earlyMedia joins the legs as the early dialog says, and gives the body for the caller's provisional. A browser takes the first
// 18x with SDP as its answer, so there is one, and its text is the same ever after; other callers hear it again with each.
func (c *call) earlyMedia(br *branch, early earlyDialog) []byte {
	first := c.caller.neg.Pending == sdp.HeardOffer
	if first {
		neg, _, err := c.caller.ready(early.neg.Heard).Answer(early.neg.Heard)
		if err != nil {
			br.leg.log.Warn("early media passed over", "error", err)
			return nil
		}
		c.caller.neg = neg
		c.caller.media.SetRemote(neg.Remote())
	}
	if c.caller.neg.Heard == nil { // a delayed offer has no early answer
		return nil
	}
	br.leg.neg = early.neg
	br.leg.media.SetRemote(early.neg.Remote())
	br.leg.media.AnswerSent()
	c.join(c.caller, br.leg)
	if !first && c.caller.browser() {
		return nil
	}
	return c.caller.neg.Repeat()
}

// join relays between two legs by what they agreed on; where they share nothing (yet) the relay stays as it is.
func (c *call) join(a, b *leg) {
	if a.media == nil || b.media == nil {
		return
	}
	plan, err := sdp.Join(a.neg, b.neg)
	if err != nil {
		c.log.Warn("no common media", "error", err)
		return
	}
	c.bridge.with.Media.Join(a.media, b.media, plan)
	settleDigits(a, b, plan)
	noteConversion(a, b, plan)
}

// restartRing gives the callee its time anew after each 101–199 (RFC 3261 §16.7 item 2).
func (c *call) restartRing() {
	if !c.ring.running() {
		return
	}
	c.ring.stop()
	c.ring = c.after(c.bridge.cfg.RingLimit, "ring-limit", func() { c.fail(ringTimeout()) })
}
