package siptest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Dialog is an established dialog of the agent.
type Dialog struct {
	Remote string // the last SDP of the other side at the time the dialog was made or re-negotiated from here

	// static after construction
	agent    *Agent
	callID   string
	from     *sip.FromHeader // ours, tag included
	to       *sip.ToHeader   // theirs, tag included
	routes   []sip.Uri
	flow     transaction.Flow // what the dialog began on
	user     string
	password string

	mu sync.Mutex
	// guarded by mu
	target sip.Uri
	cseq   uint32
}

// dialog is the dialog that a response with this tag to an INVITE makes (RFC 3261 §12.1.1), the same one each time.
func (in *Incoming) dialog(tag string) *Dialog {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.dialogs[tag] == nil {
		in.dialogs[tag] = in.newDialog(tag)
	}
	return in.dialogs[tag]
}

func (in *Incoming) newDialog(tag string) *Dialog {
	req := in.Request()
	from := req.To().AsFrom()
	from.Params = slices.Clone(from.Params)
	from.Params.Add("tag", tag)
	to := req.From().AsTo()
	d := &Dialog{
		Remote: sdpOf(req), agent: in.agent, callID: req.CallID().Value(), from: &from, to: &to, flow: in.Flow(),
		target: req.From().Address,
	}
	if c := req.Contact(); c != nil {
		d.target = c.Address
	}
	for _, h := range req.GetHeaders("Record-Route") {
		d.routes = append(d.routes, h.(*sip.RecordRouteHeader).Address)
	}
	return d
}

// dialog is the dialog that a response to our INVITE makes (§12.1.2), the same one for each with its To-tag.
func (o *Outgoing) dialog(res *sip.Response) *Dialog {
	fresh, tag := o.newDialog(res), res.To().Params.GetOr("tag", "")
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.dialogs[tag]
	if d == nil {
		o.dialogs[tag] = fresh
		return fresh
	}
	d.refresh(res.Contact())
	if fresh.Remote != "" {
		d.Remote = fresh.Remote
	}
	return d
}

func (o *Outgoing) newDialog(res *sip.Response) *Dialog {
	req := o.request()
	d := &Dialog{
		Remote: sdpOf(res), agent: o.agent, callID: req.CallID().Value(), flow: o.flow, cseq: req.CSeq().SeqNo,
		from: sip.HeaderClone(req.From()).(*sip.FromHeader), to: sip.HeaderClone(res.To()).(*sip.ToHeader),
		target: req.Recipient, user: o.call.User, password: o.call.Password,
	}
	if c := res.Contact(); c != nil {
		d.target = c.Address
	}
	for _, h := range res.GetHeaders("Record-Route") {
		d.routes = append(d.routes, h.(*sip.RecordRouteHeader).Address)
	}
	slices.Reverse(d.routes)
	return d
}

// CallID is the dialog's Call-ID.
func (d *Dialog) CallID() string { return d.callID }

// LocalTag is the agent's tag.
func (d *Dialog) LocalTag() string { return d.from.Params.GetOr("tag", "") }

// RemoteTag is the other side's tag.
func (d *Dialog) RemoteTag() string { return d.to.Params.GetOr("tag", "") }

// Target is where requests within the dialog go.
func (d *Dialog) Target() sip.Uri {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.target
}

// refresh follows the Contact of a re-INVITE or UPDATE (§12.2).
func (d *Dialog) refresh(c *sip.ContactHeader) {
	if c == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = c.Address
}

// request builds the next request within the dialog (§12.2.1.1); seq 0 takes the next CSeq.
func (d *Dialog) request(method sip.RequestMethod, seq uint32, contentType, body string, headers []sip.Header) (*sip.Request, transaction.Flow, error) {
	d.mu.Lock()
	target := d.target
	if seq == 0 {
		d.cseq++
		seq = d.cseq
	}
	d.mu.Unlock()
	next := target
	if len(d.routes) > 0 {
		next = d.routes[0]
	}
	flow := d.flow
	if to, err := netip.ParseAddrPort(hostPort(next)); err == nil {
		var err error
		if flow, err = d.agent.flow(next.UriParams.GetOr("transport", "udp"), to); err != nil {
			return nil, nil, err
		}
	}
	req := d.agent.newRequest(method, target, flow, d.from, d.to, d.callID, seq, headers)
	for _, r := range d.routes {
		req.AppendHeader(&sip.RouteHeader{Address: r})
	}
	setBody(req, contentType, body)
	return req, flow, nil
}

// Request sends a request within the dialog and gives its final response; the 2xx of a re-INVITE is acknowledged.
func (d *Dialog) Request(ctx context.Context, method sip.RequestMethod, contentType, body string, headers ...sip.Header) (*sip.Response, error) {
	o, err := d.Send(method, contentType, body, headers...)
	if err != nil {
		return nil, err
	}
	res, err := o.Final(ctx)
	if err != nil || method != sip.INVITE || !res.IsSuccess() {
		return res, err
	}
	return res, o.acknowledge(res, "")
}

// Send sends a request within the dialog and gives it while it runs.
func (d *Dialog) Send(method sip.RequestMethod, contentType, body string, headers ...sip.Header) (*Outgoing, error) {
	req, flow, err := d.request(method, 0, contentType, body, headers)
	if err != nil {
		return nil, err
	}
	o := d.agent.outgoing(Call{User: d.user, Password: d.password}, flow)
	o.within = d
	return o, o.send(req)
}

// Reinvite sends a re-INVITE with SDP.
func (d *Dialog) Reinvite(ctx context.Context, sdp string) (*sip.Response, error) {
	return d.Request(ctx, sip.INVITE, "application/sdp", sdp)
}

// Bye ends the dialog; its final response must be a 2xx.
func (d *Dialog) Bye(ctx context.Context, headers ...sip.Header) error {
	res, err := d.Request(ctx, sip.BYE, "", "", headers...)
	if err == nil && !res.IsSuccess() {
		err = fmt.Errorf("siptest: BYE answered %d %s", res.StatusCode, res.Reason)
	}
	return err
}

// Expect waits for the next request with this method within the dialog.
func (d *Dialog) Expect(ctx context.Context, method sip.RequestMethod) (*Incoming, error) {
	in, err := d.agent.expect(ctx, string(method)+" within the dialog", func(in *Incoming) bool {
		req := in.Request()
		return req.Method == method && req.CallID().Value() == d.callID && in.tag == d.LocalTag()
	})
	if err == nil && contactful(method) {
		d.refresh(in.Request().Contact())
	}
	return in, err
}
