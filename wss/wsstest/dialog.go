package wsstest

import (
	"context"
	"fmt"
	"slices"

	"github.com/emiago/sipgo/sip"
)

// dialog is the call's dialog as RFC 3261 §12 has it.
type dialog struct {
	localTag, remoteTag string
	local, remote       sip.Uri
	target              sip.Uri
	routes              []sip.Header
	cseq                uint32
}

// establish takes the dialog from the response to our INVITE (§12.1.2). Called with mu held.
func (c *Call) establish(res *sip.Response) {
	d := &c.dialog
	d.localTag, d.remoteTag = tag(res.From().Params), tag(res.To().Params)
	d.local, d.remote = res.From().Address, res.To().Address
	d.cseq = max(d.cseq, res.CSeq().SeqNo)
	if contact := res.Contact(); contact != nil {
		d.target = contact.Address
	}
	d.routes = nil
	for _, h := range slices.Backward(res.GetHeaders("Record-Route")) {
		d.routes = append(d.routes, sip.NewHeader("Route", h.Value()))
	}
}

// accepted takes the dialog from an INVITE received (§12.1.1).
func (c *Call) accepted(invite *sip.Request) {
	d := dialog{localTag: letters(10), remoteTag: tag(invite.From().Params), local: invite.To().Address,
		remote: invite.From().Address, target: invite.Contact().Address}
	for _, h := range invite.GetHeaders("Record-Route") {
		d.routes = append(d.routes, sip.NewHeader("Route", h.Value()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialog = d
}

func tag(params sip.HeaderParams) string { return params.GetOr("tag", "") }

// within is a new request of the dialog (§12.2.1.1).
func (c *Call) within(method sip.RequestMethod) *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if method != sip.ACK {
		c.dialog.cseq++
	}
	return c.withinAt(method, c.dialog.cseq)
}

// withinAt is a request of the dialog with a CSeq. Called with mu held.
func (c *Call) withinAt(method sip.RequestMethod, cseq uint32) *sip.Request {
	d := &c.dialog
	req := sip.NewRequest(method, d.target)
	req.AppendHeader(c.b.Via())
	for _, route := range d.routes {
		req.AppendHeader(sip.HeaderClone(route))
	}
	forwards := sip.MaxForwardsHeader(69)
	req.AppendHeader(&forwards)
	req.AppendHeader(&sip.ToHeader{Address: d.remote, Params: sip.HeaderParams{{K: "tag", V: d.remoteTag}}})
	req.AppendHeader(&sip.FromHeader{Address: d.local, Params: sip.HeaderParams{{K: "tag", V: d.localTag}}})
	req.AppendHeader(sip.HeaderClone(c.invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	req.AppendHeader(sip.NewHeader("Allow", c.b.opt.Allow))
	req.AppendHeader(sip.NewHeader("User-Agent", "JsSIP 3.13.8"))
	if method == sip.INVITE || method == sip.UPDATE {
		req.AppendHeader(&sip.ContactHeader{Address: c.b.Contact()})
	}
	req.SetBody(nil)
	return req
}

// Request sends any request within the dialog and gives the final response; one other than 2xx is a *StatusError too.
func (c *Call) Request(ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	req := c.within(method)
	for _, h := range headers {
		req.AppendHeader(h)
	}
	if contentType != "" {
		req.AppendHeader(sip.NewHeader("Content-Type", contentType))
		req.SetBody(body)
	}
	res, err := c.browser().Do(ctx, req)
	c.mu.Lock()
	c.dialog.cseq = max(c.dialog.cseq, req.CSeq().SeqNo) // a challenge costs one
	c.mu.Unlock()
	if err != nil {
		return res, err
	}
	if !res.IsSuccess() {
		return res, &StatusError{res}
	}
	return res, nil
}

// SendInfo sends JsSIP's INFO for a digit.
func (c *Call) SendInfo(ctx context.Context, digit byte) error {
	body := fmt.Sprintf("Signal=%c\r\nDuration=100\r\n", digit)
	_, err := c.Request(ctx, sip.INFO, "application/dtmf-relay", []byte(body))
	return err
}

// Update sends JsSIP's session refresh: an UPDATE without a body.
func (c *Call) Update(ctx context.Context) error {
	_, err := c.Request(ctx, sip.UPDATE, "", nil, sip.NewHeader("Session-Expires", "90;refresher=uac"),
		sip.NewHeader("Supported", "timer,ice,replaces,outbound"))
	return err
}

// Bye ends a confirmed call and waits for the response.
func (c *Call) Bye(ctx context.Context) error {
	if s := c.State(); s != Confirmed {
		return fmt.Errorf("wsstest: BYE in a call that is %s", s)
	}
	_, err := c.Request(ctx, sip.BYE, "", nil)
	c.end(nil, "BYE sent")
	return err
}

// Cancel ends an outgoing call before its answer: CANCEL goes out once a provisional response came, and the call's end is
// waited for. Where the answer crossed the CANCEL the call is ended by BYE.
func (c *Call) Cancel(ctx context.Context) error {
	c.mu.Lock()
	if c.incoming || c.state >= Confirmed {
		state := c.state
		c.mu.Unlock()
		return fmt.Errorf("wsstest: CANCEL in a call that is %s", state)
	}
	c.cancelled = true
	ringing := c.ringing
	c.mu.Unlock()
	if ringing {
		c.sendCancel()
	}
	return c.Wait(ctx, Ended)
}

// sendCancel sends the CANCEL of the pending INVITE (§9.1).
func (c *Call) sendCancel() {
	c.mu.Lock()
	invite, b := c.invite, c.b
	c.mu.Unlock()
	req := b.belongingTo(invite, sip.CANCEL, invite.To())
	go func() {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		res, err := b.once(ctx, req)
		if err == nil && !res.IsSuccess() {
			b.fault("CANCEL was answered by %d %s", res.StatusCode, res.Reason)
		}
	}()
}

// belongingTo is a CANCEL, or the ACK of a refusal: the INVITE's Via, Request-URI, From, Call-ID, CSeq number and Route.
func (b *Browser) belongingTo(invite *sip.Request, method sip.RequestMethod, to *sip.ToHeader) *sip.Request {
	req := sip.NewRequest(method, invite.Recipient)
	req.AppendHeader(invite.Via().Clone())
	for _, route := range invite.GetHeaders("Route") {
		req.AppendHeader(sip.HeaderClone(route))
	}
	forwards := sip.MaxForwardsHeader(69)
	req.AppendHeader(&forwards)
	req.AppendHeader(sip.HeaderClone(to))
	req.AppendHeader(sip.HeaderClone(invite.From()))
	req.AppendHeader(sip.HeaderClone(invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: method})
	req.SetBody(nil)
	return req
}
