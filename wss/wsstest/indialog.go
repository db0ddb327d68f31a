package wsstest

import (
	"context"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// onRequest takes a request of the peer within the dialog, or the CANCEL of the INVITE.
func (c *Call) onRequest(req *sip.Request) {
	c.mu.Lock()
	c.received = append(c.received, req)
	b, state, local, remote := c.b, c.state, c.dialog.localTag, c.dialog.remoteTag
	if c.ack != nil { // JsSIP confirms before it sends the ACK: what the ACK brought about cannot come too early
		state = max(state, Confirmed)
	}
	c.notify()
	c.mu.Unlock()
	if to := tag(req.To().Params); to != "" && local != "" && (to != local || tag(req.From().Params) != remote) {
		b.fault("%s with tags of another dialog", req.Method)
		c.refuse(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	}
	switch req.Method {
	case sip.ACK:
		c.onAck(req)
	case sip.CANCEL:
		c.onCancel(req)
	case sip.BYE:
		_ = b.Send(respond(req, sip.StatusOK, "OK", local))
		c.end(nil, "BYE received")
	case sip.INVITE, sip.UPDATE:
		c.onOffer(req, state)
	case sip.NOTIFY:
		if event := req.GetHeader("Event"); event == nil || !strings.HasPrefix(event.Value(), "refer") {
			b.fault("NOTIFY other than refer: JsSIP answers 489")
			c.refuse(req, 489, "Bad Event")
			return
		}
		_ = b.Send(respond(req, sip.StatusOK, "OK", local))
	default:
		_ = b.Send(respond(req, sip.StatusOK, "OK", local))
	}
}

// refuse answers a request of the dialog.
func (c *Call) refuse(req *sip.Request, status int, reason string) {
	_ = c.browser().Send(respond(req, status, reason, ""))
}

func (c *Call) onAck(req *sip.Request) {
	c.mu.Lock()
	awaiting := c.awaiting
	answered := c.incoming && c.status >= 200 && c.status < 300
	c.awaiting = false
	c.mu.Unlock()
	if awaiting {
		if err := c.session.Accept(req.Body()); err != nil {
			c.stumble("the answer in the ACK cannot be taken: %v", err)
		}
	}
	if answered { // else it belongs to our refusal
		c.rise(Confirmed)
	}
}

func (c *Call) onCancel(req *sip.Request) {
	b := c.browser()
	c.mu.Lock()
	invite, answered, local := c.invite, c.status != 0, c.dialog.localTag
	c.mu.Unlock()
	if !c.incoming || invite.Via().Params.GetOr("branch", "") != req.Via().Params.GetOr("branch", "") {
		b.fault("a CANCEL that matches no INVITE")
		c.refuse(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	}
	_ = b.Send(respond(req, sip.StatusOK, "OK", local))
	if answered {
		return // too late (RFC 3261 §9.2)
	}
	_ = c.reply(sip.StatusRequestTerminated, "Request Terminated", nil)
	c.end(nil, "CANCEL received")
}

// onOffer answers a re-INVITE or an UPDATE.
func (c *Call) onOffer(req *sip.Request, state State) {
	b := c.browser()
	if req.Method == sip.UPDATE && !strings.Contains(b.opt.Allow, "UPDATE") {
		b.fault("an UPDATE, which our Allow does not have")
		c.refuse(req, sip.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	if req.Method == sip.UPDATE && len(req.Body()) == 0 {
		c.sendOK(req, nil)
		return
	}
	if state < Confirmed {
		b.fault("an offer by %s before the call is confirmed: JsSIP answers 403", req.Method)
		c.refuse(req, sip.StatusForbidden, "Forbidden")
		return
	}
	c.mu.Lock()
	glare := c.offering
	c.mu.Unlock()
	if glare {
		b.fault("an offer by %s while ours is pending: JsSIP answers 491 and goes on processing it", req.Method)
		c.refuse(req, sip.StatusRequestPending, "Request Pending")
		return
	}
	if contact := req.Contact(); contact != nil { // target refresh (RFC 3261 §12.2.2)
		c.mu.Lock()
		c.dialog.target = contact.Address
		c.mu.Unlock()
	}
	go c.answerOffer(req)
}

// answerOffer makes the SDP, which takes a browser its time, and sends the 200.
func (c *Call) answerOffer(req *sip.Request) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if len(req.Body()) == 0 {
		body, err := c.session.Offer(ctx, Change{})
		if err != nil {
			c.stumble("no offer for a re-INVITE without one: %v", err)
			c.refuse(req, sip.StatusInternalServerError, "No Offer")
			return
		}
		c.mu.Lock()
		c.awaiting = true
		c.mu.Unlock()
		c.sendOK(req, body)
		return
	}
	body, err := c.session.Answer(ctx, req.Body())
	if err != nil {
		c.stumble("the offer of a re-INVITE cannot be taken: %v", err)
		c.refuse(req, sip.StatusNotAcceptableHere, "Not Acceptable Here")
		return
	}
	c.sendOK(req, body)
}

func (c *Call) sendOK(req *sip.Request, body []byte) {
	b := c.browser()
	res := respond(req, sip.StatusOK, "OK", "")
	res.AppendHeader(&sip.ContactHeader{Address: b.Contact()})
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	_ = b.Send(res)
}
