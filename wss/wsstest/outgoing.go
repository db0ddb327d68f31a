package wsstest

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// InviteOptions of one outgoing call.
type InviteOptions struct {
	Session Session      // nil: Options.NewSession
	Headers []sip.Header // appended to the INVITE
	NoOffer bool         // an INVITE without SDP (delayed offer)
}

// Invite sends an INVITE to target ("600", "600@domain" or a URI) and returns; Call.Wait tells what becomes of it. A challenge is
// answered as JsSIP does: same Call-ID and From tag, CSeq + 1.
func (b *Browser) Invite(ctx context.Context, target string, opt InviteOptions) (*Call, error) {
	session := opt.Session
	if session == nil {
		var err error
		if session, err = b.opt.NewSession(); err != nil {
			return nil, err
		}
	}
	req := b.NewRequest(sip.INVITE, target)
	contact := b.Contact()
	contact.UriParams = append(contact.UriParams, sip.HeaderKV{K: "ob"})
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	req.AppendHeader(sip.NewHeader("Session-Expires", "90"))
	req.AppendHeader(sip.NewHeader("Supported", "timer,ice,replaces,outbound"))
	for _, h := range opt.Headers {
		req.AppendHeader(h)
	}
	if !opt.NoOffer {
		offer, err := session.Offer(ctx, Change{})
		if err != nil {
			_ = session.Close()
			return nil, fmt.Errorf("wsstest: offer: %w", err)
		}
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		req.SetBody(offer)
	}
	c := newCall(b, req, session, false)
	c.delayed = opt.NoOffer
	x, err := b.begin(req)
	if err != nil {
		c.Close()
		return nil, err
	}
	go c.follow(x, req)
	return c, nil
}

// follow takes the responses to an outgoing INVITE until the browser is gone; 2xx repetitions come long after the first.
func (c *Call) follow(x *exchange, req *sip.Request) {
	b := x.browser
	defer x.drop()
	for tried := false; ; {
		var res *sip.Response
		select {
		case res = <-x.res:
		case <-b.done:
			return
		}
		c.heard(res)
		switch {
		case res.IsProvisional():
			c.onProvisional(res)
		case res.IsSuccess():
			c.onSuccess(res)
		default:
			_ = b.Send(b.belongingTo(req, sip.ACK, res.To()))
			retry := c.retry(req, res, tried)
			if retry == nil {
				c.end(res, fmt.Sprintf("%d %s", res.StatusCode, res.Reason))
				return
			}
			tried = true
			x.drop()
			var err error
			if x, err = b.begin(retry); err != nil {
				c.end(nil, err.Error())
				return
			}
			req = retry
		}
	}
}

// heard keeps a response and watches the To tag.
func (c *Call) heard(res *sip.Response) {
	c.mu.Lock()
	c.responses = append(c.responses, res)
	if !res.IsProvisional() {
		c.status = res.StatusCode
	}
	b := c.b
	c.notify()
	c.mu.Unlock()
	if tags := c.ToTags(); len(tags) > 1 && res.StatusCode < 300 {
		b.fault("%d to INVITE with another To tag: %v; JsSIP and SIP.js take one dialog", res.StatusCode, tags)
	}
}

func (c *Call) onProvisional(res *sip.Response) {
	if res.StatusCode > sip.StatusTrying {
		if h := res.GetHeader("Require"); h != nil && !c.takesReliable() {
			c.browser().fault("%d requires %s: JsSIP has no 100rel", res.StatusCode, h.Value())
		}
		if tag(res.To().Params) == "" {
			c.browser().fault("%d to INVITE without To tag", res.StatusCode)
		}
	}
	c.mu.Lock()
	sendNow := c.cancelled && !c.ringing
	c.ringing = true
	if tag(res.To().Params) != "" {
		c.establish(res)
	}
	c.mu.Unlock()
	if seq := res.GetHeader("RSeq"); seq != nil && c.takesReliable() {
		go c.acknowledge(res, seq.Value())
	}
	if sendNow {
		c.sendCancel()
	}
	if len(res.Body()) > 0 && res.StatusCode > sip.StatusTrying {
		if c.describe(res) {
			c.rise(Early)
		}
		return
	}
	if res.StatusCode == sip.StatusRinging {
		c.rise(Ringing)
	}
}

// onSuccess acknowledges a 2xx, each repetition of it too (RFC 3261 §13.2.2.4).
func (c *Call) onSuccess(res *sip.Response) {
	b := c.browser()
	c.mu.Lock()
	ack := c.ack
	if ack == nil {
		c.establish(res)
	}
	c.mu.Unlock()
	if ack != nil {
		_ = b.Send(ack)
		return
	}
	described := c.describe(res)
	c.mu.Lock()
	c.ack = c.withinAt(sip.ACK, res.CSeq().SeqNo)
	ack = c.ack
	cancelled := c.cancelled
	c.mu.Unlock()
	if c.delayed && described && len(res.Body()) > 0 {
		c.answerInAck(ack, res.Body())
	}
	_ = b.Send(ack)
	if res.Contact() == nil {
		b.fault("a 2xx to INVITE without Contact")
	}
	c.rise(Confirmed)
	if !described || cancelled {
		go c.hangUp()
	}
}

// hangUp ends a call that nobody wants: JsSIP does so after a 2xx without SDP.
func (c *Call) hangUp() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	_ = c.Bye(ctx) // it ended where Bye is too late
}

// answerInAck answers the 2xx's offer in the ACK (RFC 3264 with a delayed offer).
func (c *Call) answerInAck(ack *sip.Request, offer []byte) {
	answer, err := c.session.Answer(context.Background(), offer)
	if err != nil {
		c.stumble("the offer in the 2xx cannot be taken: %v", err)
		return
	}
	ack.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	ack.SetBody(answer)
}

// describe takes the SDP of a response to our offer, and says whether the call has a description. The answer that was
// given once must not change: SIP.js ignores the 200's where the 183's was taken, JsSIP applies it to another offer.
func (c *Call) describe(res *sip.Response) bool {
	b := c.browser()
	c.mu.Lock()
	settled := c.settled
	c.mu.Unlock()
	if settled && res.IsSuccess() { // SIP.js: offer and answer are complete
		if len(res.Body()) > 0 {
			b.fault("the 200 after an answer in PRACK makes another offer")
		}
		return true
	}
	if len(res.Body()) == 0 {
		b.fault("a %d without SDP: JsSIP sends BYE \"Missing SDP\"", res.StatusCode)
		return false
	}
	if kind := contentType(res); kind != "application/sdp" {
		b.fault("the SDP of a %d comes as %q", res.StatusCode, kind)
	}
	if c.delayed {
		return true
	}
	answer := invariants(res.Body())
	c.mu.Lock()
	before := c.answer
	c.answer = answer
	c.mu.Unlock()
	switch {
	case before == "":
		if err := c.session.Accept(res.Body()); err != nil {
			c.stumble("the SDP answer of a %d cannot be taken: %v", res.StatusCode, err)
			return false
		}
	case before != answer:
		b.fault("the SDP of a %d differs from the answer before:\n%s\nnow:\n%s", res.StatusCode, before, answer)
	}
	return true
}

// retry is the INVITE again with credentials; nil where the refusal is final.
func (c *Call) retry(req *sip.Request, res *sip.Response, tried bool) *sip.Request {
	if !isChallenge(res) {
		return nil
	}
	b := c.browser()
	again := sip.NewRequest(req.Method, req.Recipient)
	for _, h := range req.Headers() {
		if _, ok := h.(*sip.ContentLengthHeader); !ok {
			again.AppendHeader(sip.HeaderClone(h))
		}
	}
	again.SetBody(req.Body())
	if !b.answerChallenge(again, res, tried) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invite = again
	return again
}
