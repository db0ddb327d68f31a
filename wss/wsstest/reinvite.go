package wsstest

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// Change says what a new offer changes.
type Change struct {
	Direction  string // "sendrecv", "sendonly", "recvonly", "inactive"; "" keeps
	RestartICE bool
}

// Reinvite makes a new offer within the call and waits for the answer. A refusal is a *StatusError and a fault: JsSIP ends the
// call, SIP.js cannot roll back; here the offer is rolled back and the call goes on. Hold (sendonly), Resume (sendrecv) and
// RestartICE are short for it.
func (c *Call) Reinvite(ctx context.Context, ch Change) error {
	if s := c.State(); s != Confirmed {
		return fmt.Errorf("wsstest: re-INVITE in a call that is %s", s)
	}
	c.setOffering(true)
	defer c.setOffering(false)
	offer, err := c.session.Offer(ctx, ch)
	if err != nil {
		return fmt.Errorf("wsstest: offer: %w", err)
	}
	b := c.browser()
	req := c.within(sip.INVITE)
	req.AppendHeader(sip.NewHeader("Supported", "timer,ice,replaces,outbound"))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(offer)
	res, err := b.Do(ctx, req)
	c.mu.Lock()
	c.dialog.cseq = max(c.dialog.cseq, req.CSeq().SeqNo)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if !res.IsSuccess() {
		b.fault("a re-INVITE was refused with %d %s", res.StatusCode, res.Reason)
		if err := c.session.Rollback(); err != nil {
			return fmt.Errorf("wsstest: roll back: %w", err)
		}
		return &StatusError{res}
	}
	c.mu.Lock()
	if contact := res.Contact(); contact != nil {
		c.dialog.target = contact.Address
	}
	ack := c.withinAt(sip.ACK, res.CSeq().SeqNo)
	c.reAck = ack
	c.mu.Unlock()
	if err := b.Send(ack); err != nil {
		return err
	}
	if err := c.session.Accept(res.Body()); err != nil {
		c.stumble("the answer to a re-INVITE cannot be taken: %v", err)
		return fmt.Errorf("wsstest: answer: %w", err)
	}
	return nil
}

// ReinviteDelayed sends a re-INVITE without an offer, as SIP.js can, and answers the 2xx's offer in its ACK.
func (c *Call) ReinviteDelayed(ctx context.Context) error {
	if s := c.State(); s != Confirmed {
		return fmt.Errorf("wsstest: re-INVITE in a call that is %s", s)
	}
	c.setOffering(true)
	defer c.setOffering(false)
	res, err := c.Request(ctx, sip.INVITE, "", nil, sip.NewHeader("Supported", "timer,ice,replaces,outbound"))
	if err != nil {
		return err
	}
	answer, err := c.session.Answer(ctx, res.Body())
	if err != nil {
		return fmt.Errorf("wsstest: the offer in the 2xx cannot be taken: %w", err)
	}
	c.mu.Lock()
	ack, b := c.withinAt(sip.ACK, res.CSeq().SeqNo), c.b
	ack.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	ack.SetBody(answer)
	c.reAck = ack
	c.mu.Unlock()
	return b.Send(ack)
}

func (c *Call) setOffering(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offering = open
}

// Hold holds the peer (sendonly).
func (c *Call) Hold(ctx context.Context) error { return c.Reinvite(ctx, Change{Direction: "sendonly"}) }

// Resume takes the peer off hold (sendrecv).
func (c *Call) Resume(ctx context.Context) error {
	return c.Reinvite(ctx, Change{Direction: "sendrecv"})
}

// RestartICE offers new ICE credentials.
func (c *Call) RestartICE(ctx context.Context) error {
	return c.Reinvite(ctx, Change{RestartICE: true})
}

// acknowledgeAgain answers the repetition of a re-INVITE's 2xx (RFC 3261 §13.2.2.4); false for any other response.
func (c *Call) acknowledgeAgain(res *sip.Response) bool {
	c.mu.Lock()
	ack, b := c.reAck, c.b
	c.mu.Unlock()
	if !res.IsSuccess() || method(res) != sip.INVITE || ack == nil || ack.CSeq().SeqNo != res.CSeq().SeqNo {
		return false
	}
	return b.Send(ack) == nil
}
