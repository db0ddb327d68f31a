package siptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Call is what an outgoing request asks for.
type Call struct {
	To          sip.Uri         // Request-URI, and To where that is not given
	Target      netip.AddrPort  // where to send; default: the host and port of To
	Transport   string          // "udp" (default), "tcp"
	From        *sip.FromHeader // default: the agent's; its tag is made anew
	ToHeader    *sip.ToHeader   // default: of To
	CallID      string          // default: random
	SDP         string
	ContentType string // of SDP, where that is a multipart
	Headers     []sip.Header
	User        string // answers a challenge, where set
	Password    string
	Algorithm   string // of the challenge that is answered; default: the first that can be
}

// Outgoing is a request of the agent while it runs.
type Outgoing struct {
	// static after construction
	agent  *Agent
	call   Call
	flow   transaction.Flow
	within *Dialog // nil: outside dialogs

	mu sync.Mutex
	// guarded by mu
	sent      int          // requests: the first, and one for each challenge
	req       *sip.Request // the latest
	tx        *transaction.Client
	answered  bool // a challenge
	ringing   bool // a provisional response came
	finished  bool
	hungUp    []sip.Header // Hangup waits for a provisional response; never nil then
	responses []*sip.Response
	err       error
	changed   chan struct{}
	acks      map[string][]byte  // sent, by To-tag
	dialogs   map[string]*Dialog // by To-tag
}

func (a *Agent) outgoing(c Call, flow transaction.Flow) *Outgoing {
	return &Outgoing{agent: a, call: c, flow: flow, changed: make(chan struct{}), acks: make(map[string][]byte), dialogs: make(map[string]*Dialog)}
}

// Invite sends an INVITE and gives it while it runs.
func (a *Agent) Invite(c Call) (*Outgoing, error) { return a.Start(sip.INVITE, c) }

// Start sends a request outside dialogs and gives it while it runs.
func (a *Agent) Start(method sip.RequestMethod, c Call) (*Outgoing, error) {
	to := c.Target
	if !to.IsValid() {
		var err error
		if to, err = netip.ParseAddrPort(hostPort(c.To)); err != nil {
			return nil, fmt.Errorf("siptest: no address to send to: %w", err)
		}
	}
	flow, err := a.flow(c.Transport, to)
	if err != nil {
		return nil, err
	}
	from := &sip.FromHeader{Address: a.URI("")}
	if c.From != nil {
		from = sip.HeaderClone(c.From).(*sip.FromHeader)
	}
	from.Params.Add("tag", sip.GenerateTagN(12))
	toHeader := c.ToHeader
	if toHeader == nil {
		toHeader = &sip.ToHeader{Address: c.To}
	}
	if c.CallID == "" {
		c.CallID = sip.GenerateTagN(24)
	}
	req := a.newRequest(method, c.To, flow, from, toHeader, c.CallID, 1, c.Headers)
	setBody(req, cmp.Or(c.ContentType, "application/sdp"), c.SDP)
	o := a.outgoing(c, flow)
	return o, o.send(req)
}

// Do sends a request outside dialogs and gives its final response; a 401 or 407 is answered once where Call has a User.
func (a *Agent) Do(ctx context.Context, method sip.RequestMethod, c Call) (*sip.Response, error) {
	o, err := a.Start(method, c)
	if err != nil {
		return nil, err
	}
	return o.Final(ctx)
}

// send starts the transaction of a request, the first or one with credentials.
func (o *Outgoing) send(req *sip.Request) error {
	o.mu.Lock()
	o.sent++
	o.req = req
	latest := o.sent
	o.mu.Unlock()
	tx, err := o.agent.layer.Request(transaction.Outbound{Request: req}, o.flow, func(e transaction.Event) { o.event(req, e) })
	if err != nil {
		return err
	}
	o.mu.Lock()
	if latest == o.sent { // else its challenge has come and been answered already
		o.tx = tx
	}
	hungUp, ringing := o.hungUp, o.ringing
	o.mu.Unlock()
	if hungUp != nil && ringing {
		_ = tx.Cancel(hungUp...) // too late means that the final response is on its way
	}
	return nil
}

func (o *Outgoing) request() *sip.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.req
}

// event takes what the transaction of req says.
func (o *Outgoing) event(req *sip.Request, e transaction.Event) {
	if e.Err != nil {
		o.mu.Lock()
		o.err, o.finished = e.Err, true
		o.notify()
		o.mu.Unlock()
		return
	}
	res := e.Response
	if o.reacknowledge(res) || o.challenged(req, res) {
		return
	}
	o.mu.Lock()
	o.responses = append(o.responses, res)
	o.ringing = o.ringing || res.IsProvisional()
	o.finished = o.finished || !res.IsProvisional()
	hungUp, tx := o.hungUp, o.tx
	o.notify()
	o.mu.Unlock()
	if hungUp == nil {
		return
	}
	switch {
	case res.IsProvisional() && tx != nil:
		_ = tx.Cancel(hungUp...) // again and again is one; too late means that the final response is on its way
	case res.IsSuccess() && req.Method == sip.INVITE:
		go o.drop(res, hungUp)
	}
}

// notify wakes those who wait. Called with mu held.
func (o *Outgoing) notify() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// reacknowledge answers the repetition of a 2xx with the ACK that was sent (RFC 3261 §13.2.2.4).
func (o *Outgoing) reacknowledge(res *sip.Response) bool {
	o.mu.Lock()
	ack := o.acks[res.To().Params.GetOr("tag", "")]
	o.mu.Unlock()
	if ack == nil || !res.IsSuccess() {
		return false
	}
	_ = o.flow.Send(ack) // a lost one is asked for again
	return true
}

// challenged answers a challenge once, with the next CSeq.
func (o *Outgoing) challenged(req *sip.Request, res *sip.Response) bool {
	if o.call.User == "" || res.StatusCode != sip.StatusUnauthorized && res.StatusCode != sip.StatusProxyAuthRequired {
		return false
	}
	o.mu.Lock()
	second := o.answered
	o.answered = true
	o.mu.Unlock()
	if second {
		return false
	}
	again := req.Clone()
	again.CSeq().SeqNo++
	if o.within != nil {
		again.CSeq().SeqNo = o.within.take()
	}
	again.Via().Params.Add("branch", sip.GenerateBranch())
	if err := authorize(again, res, o.call); err != nil {
		return false
	}
	return o.send(again) == nil
}

func (d *Dialog) take() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cseq++
	return d.cseq
}

// Next waits for the next response; after the final one for further 2xx. An error is the transaction's or the context's.
func (o *Outgoing) Next(ctx context.Context) (*sip.Response, error) {
	for {
		o.mu.Lock()
		if len(o.responses) > 0 {
			res := o.responses[0]
			o.responses = o.responses[1:]
			o.mu.Unlock()
			return res, nil
		}
		err, changed := o.err, o.changed
		o.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("siptest: no response: %w\n%s", ctx.Err(), o.agent.Ladder())
		}
	}
}

// Final waits for the final response and passes over provisional ones.
func (o *Outgoing) Final(ctx context.Context) (*sip.Response, error) {
	for {
		res, err := o.Next(ctx)
		if err != nil || !res.IsProvisional() {
			return res, err
		}
	}
}

// Await waits for a response of this status, passing over others; another final response is an error that names it.
func (o *Outgoing) Await(ctx context.Context, status int) (*sip.Response, error) {
	for {
		res, err := o.Next(ctx)
		if err != nil || res.StatusCode == status {
			return res, err
		}
		if !res.IsProvisional() {
			return res, fmt.Errorf("siptest: answered %d %s, not %d\n%s", res.StatusCode, res.Reason, status, o.agent.Ladder())
		}
	}
}

// Answered waits for the 2xx, acknowledges it (with sdp as the body where not empty) and gives the dialog.
func (o *Outgoing) Answered(ctx context.Context, sdp string) (*Dialog, error) {
	res, err := o.Final(ctx)
	if err != nil {
		return nil, err
	}
	if !res.IsSuccess() {
		return nil, fmt.Errorf("siptest: answered %d %s\n%s", res.StatusCode, res.Reason, o.agent.Ladder())
	}
	return o.Ack(res, sdp)
}

// Ack acknowledges a 2xx and gives its dialog; each fork of a 2xx makes one of its own.
func (o *Outgoing) Ack(res *sip.Response, sdp string) (*Dialog, error) {
	if o.within != nil {
		return o.within, o.acknowledge(res, sdp)
	}
	return o.dialog(res), o.acknowledge(res, sdp)
}

// acknowledge sends the ACK of a 2xx, and keeps it for the 2xx's repetitions.
func (o *Outgoing) acknowledge(res *sip.Response, sdp string) error {
	d := o.within
	if d == nil {
		d = o.dialog(res)
	} else {
		d.refresh(res.Contact())
		d.Remote = sdpOf(res)
	}
	ack, flow, err := d.request(sip.ACK, o.request().CSeq().SeqNo, "application/sdp", sdp, nil)
	if err != nil {
		return err
	}
	data := transaction.Append(nil, transaction.Message{Message: ack})
	o.mu.Lock()
	o.acks[res.To().Params.GetOr("tag", "")] = data
	o.mu.Unlock()
	return flow.Send(data)
}

// Cancel sends the CANCEL; a provisional response must have come.
func (o *Outgoing) Cancel(extra ...sip.Header) error {
	o.mu.Lock()
	tx := o.tx
	o.mu.Unlock()
	if tx == nil { // a challenge is just being answered
		return transaction.ErrNoProceeding
	}
	return tx.Cancel(extra...)
}

// Hangup ends an INVITE that may not be answered any more, whenever that is possible: by CANCEL as soon as a provisional response
// has come, by ACK and BYE where the answer crosses it. It returns at once.
func (o *Outgoing) Hangup(extra ...sip.Header) {
	o.mu.Lock()
	ringing, finished, tx := o.ringing, o.finished, o.tx
	o.hungUp = append([]sip.Header{}, extra...)
	o.mu.Unlock()
	if ringing && !finished && tx != nil {
		_ = tx.Cancel(extra...) // too late means that the final response is on its way
	}
}

// drop ends a call whose answer crossed the CANCEL.
func (o *Outgoing) drop(res *sip.Response, extra []sip.Header) {
	d, err := o.Ack(res, "")
	if err == nil {
		ctx, stop := context.WithTimeout(context.Background(), 64*o.agent.timers.T1)
		defer stop()
		err = d.Bye(ctx, extra...)
	}
	if err != nil && !errors.Is(err, transaction.ErrFlowLost) {
		o.agent.log.Warn("siptest: late answer not ended", "call", d.callID, "error", err)
	}
}
