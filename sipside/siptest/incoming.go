package siptest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Incoming is a request that came in.
type Incoming struct {
	*transaction.Server
	agent *Agent
	tag   string // our To-tag

	mu sync.Mutex
	// guarded by mu
	rseq    uint32             // of the latest reliable provisional
	dialogs map[string]*Dialog // by our tag
}

func (a *Agent) incoming(tx *transaction.Server) *Incoming {
	tag := tx.Request().To().Params.GetOr("tag", "")
	if tag == "" {
		tag = sip.GenerateTagN(12)
	}
	in := &Incoming{Server: tx, agent: a, tag: tag, dialogs: make(map[string]*Dialog)}
	return in
}

// Reply is a response to give; zero fields are left out.
type Reply struct {
	Status      int
	Reason      string // default: the RFC's phrase
	Tag         string // To-tag; default: one per Incoming. Several tags make forks.
	SDP         string // body of type application/sdp
	ContentType string // of Body
	Body        string
	Headers     []sip.Header // further ones; a Contact replaces the default one
}

// Respond gives a response.
func (in *Incoming) Respond(r Reply) error { return in.Server.Respond(in.response(r)) }

// Tag is the To-tag of responses that name none.
func (in *Incoming) Tag() string { return in.tag }

// SDP is the body where it is SDP, else empty.
func (in *Incoming) SDP() string { return sdpOf(in.Request()) }

type message interface {
	ContentType() *sip.ContentTypeHeader
	Body() []byte
}

func sdpOf(m message) string {
	if t := m.ContentType(); t != nil && strings.HasPrefix(strings.ToLower(string(*t)), "application/sdp") {
		return string(m.Body())
	}
	return ""
}

func (in *Incoming) response(r Reply) *sip.Response {
	if r.Reason == "" {
		r.Reason = phrase(r.Status)
	}
	req := in.Request()
	res := transaction.NewResponse(req, r.Status, r.Reason)
	tag := r.Tag
	if tag == "" {
		tag = in.tag
	}
	if r.Status > sip.StatusTrying {
		res.To().Params.Add("tag", tag)
	}
	if contactful(req.Method) && r.Status > sip.StatusTrying && r.Status < 300 && !has(r.Headers, "Contact") {
		res.AppendHeader(&sip.ContactHeader{Address: in.agent.URI(transportName(in.Flow()))})
	}
	for _, h := range r.Headers {
		res.AppendHeader(h)
	}
	if r.SDP != "" {
		r.ContentType, r.Body = "application/sdp", r.SDP
	}
	if r.Body != "" {
		res.AppendHeader(sip.NewHeader("Content-Type", r.ContentType))
		res.SetBody([]byte(r.Body))
	}
	return res
}

// contactful says which requests and their 2xx carry a Contact as the dialog's target.
func contactful(method sip.RequestMethod) bool { return method == sip.INVITE || method == sip.UPDATE }

func has(headers []sip.Header, name string) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name(), name) {
			return true
		}
	}
	return false
}

func transportName(flow transaction.Flow) string { return strings.ToLower(transportOf(flow)) }

// Accept answers an INVITE with 200 and SDP, repeats it until the ACK (RFC 3261 §13.3.1.4), and gives the dialog. Where the
// ACK carries SDP, it is Dialog.Remote. Without an ACK in time the error says so, and the dialog is given all the
// same, for its BYE.
func (in *Incoming) Accept(ctx context.Context, r Reply) (*Dialog, error) {
	if r.Status == 0 {
		r.Status = sip.StatusOK
	}
	if r.Tag == "" {
		r.Tag = in.tag
	}
	a, req := in.agent, in.Request()
	acks, key := make(chan *Incoming, 1), ackKey(req, r.Tag)
	a.mu.Lock()
	a.acks[key] = acks
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.acks, key)
		a.mu.Unlock()
	}()
	d := in.dialog(r.Tag)
	res := in.response(r)
	if err := in.Server.Respond(res); err != nil {
		return d, err
	}
	interval := a.timers.T1
	again, limit := time.NewTimer(interval), time.NewTimer(64*a.timers.T1)
	defer again.Stop()
	defer limit.Stop()
	for {
		select {
		case ack := <-acks:
			if sdp := ack.SDP(); sdp != "" {
				d.Remote = sdp
			}
			return d, nil
		case <-again.C:
			interval = min(2*interval, a.timers.T2)
			again.Reset(interval)
			if err := in.Server.Respond(res); err != nil {
				return d, err
			}
		case <-limit.C:
			return d, fmt.Errorf("siptest: no ACK came\n%s", a.Ladder())
		case <-ctx.Done():
			return d, fmt.Errorf("siptest: no ACK came: %w\n%s", ctx.Err(), a.Ladder())
		}
	}
}

// phrase is the reason phrase of a status.
func phrase(status int) string {
	phrases := map[int]string{
		100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 200: "OK", 202: "Accepted",
		302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
		405: "Method Not Allowed", 407: "Proxy Authentication Required", 408: "Request Timeout",
		415: "Unsupported Media Type", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
		486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
		500: "Server Internal Error", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
	}
	if p := phrases[status]; p != "" {
		return p
	}
	return "Status"
}
