package wsstest

import (
	"context"
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// NextCall waits for an incoming call. 100 has been sent.
func (b *Browser) NextCall(ctx context.Context) (*Call, error) {
	select {
	case c := <-b.calls:
		return c, nil
	default:
	}
	select {
	case c := <-b.calls:
		return c, nil
	case <-b.done:
		return nil, fmt.Errorf("wsstest: no call came: %w\n%s", b.Err(), b.Ladder())
	case <-ctx.Done():
		return nil, fmt.Errorf("wsstest: no call came: %w\n%s", ctx.Err(), b.Ladder())
	}
}

// respond builds a response as RFC 3261 §8.2.6 has it; toTag where the request has none.
func respond(req *sip.Request, status int, reason, toTag string) *sip.Response {
	res := sip.NewResponse(status, reason)
	for _, name := range []string{"Via", "Record-Route", "From", "To", "Call-ID", "CSeq"} {
		sip.CopyHeaders(name, req, res)
	}
	if to := res.To(); to != nil && toTag != "" && !to.Params.Has("tag") {
		to.Params.Add("tag", toTag)
	}
	res.SetBody(nil)
	return res
}

// onRequest takes a request of the gateway.
func (b *Browser) onRequest(req *sip.Request, data []byte) {
	if status, why := b.insaneRequest(req, data); status != 0 {
		b.fault("%s would be refused with %d: %s", req.Method, status, why)
		if !req.IsAck() && req.Via() != nil {
			_ = b.Send(respond(req, status, why, letters(10)))
		}
		return
	}
	b.mu.Lock()
	c, subscribed := b.dialogs[string(*req.CallID())], b.subscribed[string(*req.CallID())]
	b.mu.Unlock()
	switch {
	case subscribed && req.Method == sip.NOTIFY:
		_ = b.Send(respond(req, sip.StatusOK, "OK", ""))
	case c != nil && (req.To().Params.Has("tag") || req.Method == sip.CANCEL):
		c.onRequest(req)
	case req.Method == sip.ACK:
	case req.To().Params.Has("tag") || req.Method == sip.CANCEL || req.Method == sip.BYE:
		b.fault("%s for a call that is unknown", req.Method)
		_ = b.Send(respond(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist", letters(10)))
	case req.Method == sip.INVITE:
		b.onInvite(req)
	default: // OPTIONS, MESSAGE, NOTIFY: JsSIP answers 200
		_ = b.Send(respond(req, sip.StatusOK, "OK", letters(10)))
	}
}

func (b *Browser) onInvite(req *sip.Request) {
	session, err := b.opt.NewSession()
	if err != nil {
		b.fault("no session for an incoming call: %v", err)
		_ = b.Send(respond(req, sip.StatusInternalServerError, "No Session", letters(10)))
		return
	}
	c := newCall(b, req, session, true)
	c.accepted(req)
	_ = c.reply(sip.StatusTrying, "Trying", nil)
	b.calls <- c
}

// reply sends a response to the incoming INVITE.
func (c *Call) reply(status int, reason string, body []byte, extra ...sip.Header) error {
	c.mu.Lock()
	b, toTag := c.b, c.dialog.localTag
	if status == sip.StatusTrying {
		toTag = ""
	}
	res := respond(c.invite, status, reason, toTag)
	for _, h := range extra {
		res.AppendHeader(h)
	}
	if status > sip.StatusTrying && status < 300 {
		res.AppendHeader(&sip.ContactHeader{Address: b.Contact()})
		res.AppendHeader(sip.NewHeader("Allow", b.opt.Allow))
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	c.responses = append(c.responses, res)
	if status >= 200 {
		c.status = status
	}
	c.mu.Unlock()
	return b.Send(res)
}

// errNotIncoming is an answer to a call that is outgoing, answered already or over.
var errNotIncoming = errors.New("wsstest: nothing to answer")

func (c *Call) unanswered() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.incoming || c.status != 0 || c.state == Ended {
		return fmt.Errorf("%w: the call is %s", errNotIncoming, c.state)
	}
	return nil
}

// Ring sends 180.
func (c *Call) Ring() error {
	if err := c.unanswered(); err != nil {
		return err
	}
	c.rise(Ringing)
	return c.reply(sip.StatusRinging, "Ringing", nil)
}

// Progress sends 183 with the SDP answer; Answer repeats it.
func (c *Call) Progress(ctx context.Context) error {
	if err := c.unanswered(); err != nil {
		return err
	}
	body, err := c.ownAnswer(ctx)
	if err != nil {
		return err
	}
	c.rise(Early)
	return c.reply(sip.StatusSessionInProgress, "Session Progress", body)
}

// ownAnswer is our SDP in responses to the incoming INVITE: the same in 183 and 200.
func (c *Call) ownAnswer(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	answer, offer := c.answer, c.invite.Body()
	c.mu.Unlock()
	if answer != "" {
		return []byte(answer), nil
	}
	var body []byte
	var err error
	if len(offer) == 0 {
		body, err = c.session.Offer(ctx, Change{})
	} else {
		body, err = c.session.Answer(ctx, offer)
	}
	if err != nil {
		return nil, fmt.Errorf("wsstest: SDP for an incoming call: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.awaiting = string(body), len(offer) == 0
	return body, nil
}

// Answer sends 200 with SDP and waits for the ACK.
func (c *Call) Answer(ctx context.Context) error {
	if err := c.unanswered(); err != nil {
		return err
	}
	body, err := c.ownAnswer(ctx)
	if err != nil {
		return err
	}
	if err := c.reply(sip.StatusOK, "OK", body); err != nil {
		return err
	}
	return c.Wait(ctx, Confirmed)
}

// Redirect refuses an incoming call with 302 and the Contact of who is to be called instead.
func (c *Call) Redirect(contact string) error {
	if err := c.unanswered(); err != nil {
		return err
	}
	err := c.reply(sip.StatusMovedTemporarily, "Moved Temporarily", nil, sip.NewHeader("Contact", contact))
	c.end(nil, "redirected")
	return err
}

// Reject refuses an incoming call.
func (c *Call) Reject(status int, reason string) error {
	if err := c.unanswered(); err != nil {
		return err
	}
	err := c.reply(status, reason, nil)
	c.end(nil, fmt.Sprintf("rejected with %d", status))
	return err
}
