package sipside

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Answerer answers the challenge of a 401 or 407: its result is an Authorization or Proxy-Authorization header. uri is the
// Request-URI byte for byte.
type Answerer func(res *sip.Response, method, uri string, body []byte) (sip.Header, error)

// registrar keeps our binding at one trunk. One goroutine runs it.
type registrar struct {
	// static after construction
	b       *Backend
	account Account
	callID  string
	tag     string
	send    func(asks time.Duration) outcome // once, or a test's
	gone    chan struct{}                    // closed when the trunk wants it no more
	after   *registrar                       // whose binding is taken back first; may be nil

	running    atomic.Bool
	registered atomic.Bool
	status     atomic.Int32 // of the last final response; 0: none came
	done       chan struct{}

	// owned by run
	state  registration
	seq    uint32
	answer sip.Header
}

func newRegistrar(b *Backend, a Account) *registrar {
	if a.Expires == 0 {
		a.Expires = registerExpires
	}
	r := &registrar{
		b: b, account: a, callID: strings.ToLower(rand.Text()), tag: strings.ToLower(rand.Text()),
		gone: make(chan struct{}), done: make(chan struct{}), state: registration{asks: a.Expires},
	}
	r.send = r.once
	return r
}

// run registers until the door is left, and then takes the binding back.
func (r *registrar) run() {
	defer close(r.done)
	if r.after != nil && r.after.running.Load() {
		<-r.after.done
	}
	r.after = nil
	for {
		wait := r.state.next(r.send(r.state.asks))
		if was := r.registered.Swap(r.state.registered); was != r.state.registered {
			r.b.e.log.Info("registration at trunk", "backend", r.b.name, "registered", r.state.registered, "status", r.status.Load())
		}
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(early(wait))
		select {
		case <-timer.C:
		case <-r.b.e.ctx.Done():
			timer.Stop()
			return
		case <-r.b.e.leaving:
			timer.Stop()
			r.leave()
			return
		case <-r.gone:
			timer.Stop()
			r.leave()
			return
		}
	}
}

// leave takes the binding back; a challenge is answered.
func (r *registrar) leave() {
	if !r.registered.Swap(false) {
		return
	}
	for range 1 + challengesAtOnce {
		if r.send(0).verdict != regChallenged {
			return
		}
	}
}

// early spreads REGISTERs of many gateways (RFC 5626 §4.5): up to a fifth sooner.
func early(wait time.Duration) time.Duration { return wait - mathrand.N(wait/5+1) }

// once sends one REGISTER and waits for what becomes of it.
func (r *registrar) once(asks time.Duration) outcome {
	final := make(chan transaction.Event, 1)
	out := r.request(asks)
	tx, err := r.b.Request(out, func(event transaction.Event) {
		if event.Response != nil && event.Response.IsProvisional() {
			return
		}
		select {
		case final <- event:
		default:
		}
	})
	if err != nil {
		r.status.Store(0)
		r.b.e.log.Warn("register at trunk", "backend", r.b.name, "error", err)
		return outcome{verdict: regFailed}
	}
	select {
	case event := <-final:
		if event.Response != nil && event.Response.StatusCode == sip.StatusServiceUnavailable && r.b.Another() {
			return r.once(asks)
		}
		return r.judge(out, event)
	case <-r.b.e.ctx.Done():
		tx.Abandon()
		return outcome{verdict: regFailed}
	}
}

// judge puts a final response, or its absence, in the terms of the table.
func (r *registrar) judge(out transaction.Outbound, event transaction.Event) outcome {
	res := event.Response
	if res == nil {
		r.status.Store(0)
		r.b.e.log.Warn("register at trunk", "backend", r.b.name, "error", event.Err)
		return outcome{verdict: regFailed}
	}
	r.status.Store(int32(res.StatusCode))
	after := seconds(res.GetHeader("Retry-After"))
	switch {
	case res.IsSuccess():
		return outcome{verdict: regGranted, time: r.granted(out.Request, res)}
	case res.StatusCode == sip.StatusUnauthorized, res.StatusCode == sip.StatusProxyAuthRequired:
		return r.challenged(out, res)
	case res.StatusCode == 423:
		return outcome{verdict: regTooBrief, time: seconds(res.GetHeader("Min-Expires"))}
	}
	r.b.e.log.Warn("trunk refuses the registration", "backend", r.b.name, "status", res.StatusCode, "reason", res.Reason)
	switch res.StatusCode {
	case 403, 404, 405, 501:
		return outcome{verdict: regForbidden, time: after}
	}
	return outcome{verdict: regFailed, time: after}
}

func (r *registrar) challenged(out transaction.Outbound, res *sip.Response) outcome {
	r.answer = nil
	if r.account.Answer == nil {
		return outcome{verdict: regForbidden}
	}
	h, err := r.account.Answer(res, string(sip.REGISTER), out.RequestURI, nil)
	if err != nil {
		r.b.e.log.Warn("challenge of trunk", "backend", r.b.name, "error", err)
		return outcome{verdict: regForbidden}
	}
	r.answer = h
	return outcome{verdict: regChallenged, stale: StaleNonce(res)}
}

// request builds a REGISTER: one Call-ID and a growing CSeq for all of them (RFC 3261 §10.2).
func (r *registrar) request(asks time.Duration) transaction.Outbound {
	r.seq++
	aor := *r.b.uri.Clone()
	aor.User, aor.Password, aor.Port, aor.UriParams, aor.Headers = r.account.Username, "", 0, nil, nil
	registrarURI := requestURIOf(r.b.uri)
	registrarURI.User, registrarURI.Password = "", ""
	if r.account.Domain != "" {
		aor.Host = r.account.Domain
		registrarURI = sip.Uri{Scheme: registrarURI.Scheme, Host: r.account.Domain}
	}
	contact := r.b.Contact(r.account.Username)
	req := sip.NewRequest(sip.REGISTER, registrarURI)
	hops := sip.MaxForwardsHeader(70)
	callID := sip.CallIDHeader(r.callID)
	life := strconv.Itoa(int(asks / time.Second))
	for _, h := range []sip.Header{
		&hops,
		&sip.FromHeader{Address: aor, Params: sip.HeaderParams{{K: "tag", V: r.tag}}},
		&sip.ToHeader{Address: *aor.Clone()},
		&callID,
		&sip.CSeqHeader{SeqNo: r.seq, MethodName: sip.REGISTER},
		&sip.ContactHeader{Address: contact, Params: sip.HeaderParams{{K: "expires", V: life}}},
		sip.NewHeader("Expires", life),
	} {
		req.AppendHeader(h)
	}
	if r.answer == nil && r.account.Ahead != nil {
		r.answer = r.account.Ahead(string(sip.REGISTER), registrarURI.String(), nil)
	}
	if r.answer != nil {
		req.AppendHeader(r.answer)
		r.answer = nil
	}
	req.SetBody(nil)
	return transaction.Outbound{Request: req, RequestURI: registrarURI.String()}
}

// granted is how long the binding lives: our Contact's expires, else the Expires header, else what was asked (RFC 3261 §10.2.4).
func (r *registrar) granted(req *sip.Request, res *sip.Response) time.Duration {
	ours := req.Contact().Address
	granted := r.state.asks
	if h := res.GetHeader("Expires"); h != nil && seconds(h) > 0 {
		granted = seconds(h)
	}
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.User != ours.User || !strings.EqualFold(c.Address.Host, ours.Host) || c.Address.Port != ours.Port {
			continue
		}
		if n, err := strconv.Atoi(c.Params.GetOr("expires", "")); err == nil && n > 0 {
			granted = time.Duration(n) * time.Second
		}
	}
	return max(granted, time.Second)
}

// seconds reads a header of delta-seconds, with whatever stands behind the number (RFC 3261 §20.33); 0 where there is none.
func seconds(h sip.Header) time.Duration {
	if h == nil {
		return 0
	}
	text := strings.TrimSpace(h.Value())
	if end := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		text = text[:end]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// StaleNonce says whether a challenge is for the nonce alone: the credentials were good (RFC 7616 §3.3).
func StaleNonce(res *sip.Response) bool {
	for _, h := range append(res.GetHeaders("WWW-Authenticate"), res.GetHeaders("Proxy-Authenticate")...) {
		value := strings.ToLower(h.Value())
		if strings.Contains(value, "stale=true") || strings.Contains(value, `stale="true"`) {
			return true
		}
	}
	return false
}

// Unregister takes back the bindings at all trunks, so that they send no more calls, and waits for their answers or for ctx.
// It may be called once, after Serve.
func (e *Endpoints) Unregister(ctx context.Context) {
	close(e.leaving)
	for _, b := range e.members.Load().backends {
		r := b.registrar.Load()
		if r == nil {
			continue
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return
		}
	}
}
