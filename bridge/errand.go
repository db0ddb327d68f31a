package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// errand is a request outside a dialog that makes no call (MESSAGE, SUBSCRIBE, PUBLISH, an unsolicited NOTIFY), on its way to the
// targets of its route: members of a pool one after another, or all browsers of a user at once, of whom the first to accept
// counts. It has no goroutine; its events come from client transactions and timers.
type errand struct {
	// static once begun
	b       *Bridge
	in      inbound
	subject *subscription // of a SUBSCRIBE; nil otherwise

	mu sync.Mutex
	// guarded by mu
	stages []stage
	tries  []*try // of the stage under way
	best   *reply // the refusal to be shown should nobody accept
	over   bool
}

// try is the request as one target got it.
type try struct {
	target target
	dialog Dialog
	answer sip.Header // the gateway's own credentials, which a backend asked for
	asked  int        // how often it asked
	client *transaction.Client
	timer  *time.Timer
	sent   int // counts requests: events of an earlier one are late
	over   bool
}

// serveErrand admits, routes and carries on. It does not block.
func (b *Bridge) serveErrand(in inbound) {
	if r, bad := b.refuseErrand(in); bad {
		b.respond(in.tx, r)
		return
	}
	b.routed(in, func(in inbound, decision route.Decision) {
		stages, err := b.targets(in, decision)
		if err != nil {
			b.respond(in.tx, reply{status: err.status, why: err.why})
			return
		}
		e := &errand{b: b, in: in, stages: stages}
		if in.req.Method == sip.SUBSCRIBE {
			e.subject = b.subscriptions.open(in)
			e.stages = oneByOne(stages) // a subscription has one notifier
		}
		e.next()
	})
}

// refuseErrand says what is wrong with a request before it is routed.
func (b *Bridge) refuseErrand(in inbound) (reply, bool) {
	req := in.req
	switch {
	case b.draining.Load():
		return reply{status: 503, why: noNewCalls, headers: []sip.Header{retryAfter()}}, true
	case req.Method == sip.NOTIFY && in.browser != nil:
		return reply{status: 481, why: "NOTIFY of no subscription"}, true
	case req.Method != sip.MESSAGE && headerValue(req, "Event") == "":
		return reply{status: 489, why: "Event is missing"}, true // RFC 6665 §7.2.1
	case req.Method == sip.SUBSCRIBE && req.Contact() == nil:
		return reply{status: 400, why: "Contact is missing"}, true
	}
	if b.with.Guard != nil {
		if err := b.with.Guard.Admit(in.origin(), aorOf(req.From().Address), req.Method); err != nil {
			return reply{status: 503, why: err.Error(), headers: []sip.Header{retryAfter()}}, true
		}
	}
	return reply{}, false
}

// oneByOne has the targets tried in turn instead of at once.
func oneByOne(stages []stage) (out []stage) {
	for _, s := range stages {
		for _, t := range s {
			out = append(out, stage{t})
		}
	}
	return out
}

// next sends the request to the targets of the next stage.
func (e *errand) next() {
	e.mu.Lock()
	current := e.stages[0]
	e.stages = e.stages[1:]
	e.tries = nil
	for _, t := range current {
		e.tries = append(e.tries, &try{target: t, dialog: e.b.presented(e.in, t, e.b.dialogTowards(e.in.req, t, e.in.requestURI()))})
	}
	tries := slices.Clone(e.tries)
	e.mu.Unlock()
	for _, t := range tries {
		e.send(t)
	}
}

// send sends the request to one target, the first time or with credentials of our own.
func (e *errand) send(t *try) {
	e.mu.Lock()
	out := e.request(t)
	t.sent++
	sent := t.sent
	if t.target.backend != nil {
		wait := e.b.patience(t.target.backendName())
		if !e.anotherLives() {
			wait *= lastChance
		}
		t.timer = time.AfterFunc(wait, func() { e.event(t, sent, transaction.Event{Err: errSilent}) })
	}
	if e.subject != nil {
		e.subject.tries(t)
	}
	e.mu.Unlock()
	client, err := t.target.peer().Request(out, func(ev transaction.Event) { e.event(t, sent, ev) })
	if err != nil {
		e.event(t, sent, transaction.Event{Err: err})
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.client = client; t.over {
		client.Abandon()
	}
}

// anotherLives says whether a living member is left to be tried. The caller holds mu.
func (e *errand) anotherLives() bool {
	return slices.ContainsFunc(e.stages, func(s stage) bool {
		return slices.ContainsFunc(s, func(t target) bool { return t.backend != nil && t.backend.Alive() })
	})
}

// request builds the request on a leg of our own. The caller holds mu.
func (e *errand) request(t *try) transaction.Outbound {
	req := e.in.req
	out := t.dialog.request(req.Method)
	hops := hopsLeft(req)
	out.ReplaceHeader(&hops)
	e.b.passOn(out.Request, req, e.in.backend != nil, t.target.browser != nil, e.b.veilOf(t.target))
	if req.Method == sip.SUBSCRIBE {
		out.AppendHeader(&sip.ContactHeader{Address: t.target.peer().Contact(t.dialog.Token)})
	}
	for _, h := range e.b.assertedTo(e.in, t.target) {
		out.AppendHeader(h)
	}
	if t.target.credentials && !e.b.peering(t.target.peer().Name()).Own {
		for _, h := range credentials(req.Headers()) {
			out.AppendHeader(h)
		}
	}
	if t.answer == nil {
		t.answer = e.b.ahead(t.target.peer(), e.in.identity, out)
	}
	if t.answer != nil {
		out.AppendHeader(t.answer)
		t.answer = nil
	}
	obey(out.Request, t.target.change)
	return out
}

// event is what became of a try. What comes late is dropped.
func (e *errand) event(t *try, sent int, ev transaction.Event) {
	if ev.Response != nil && ev.Response.IsProvisional() {
		return
	}
	e.mu.Lock()
	if t.over || t.sent != sent {
		e.mu.Unlock()
		return
	}
	t.stop()
	if e.ownCredentials(t, ev.Response) {
		e.mu.Unlock()
		e.send(t)
		return
	}
	t.over = true
	if ev.Response == nil && t.client != nil {
		t.client.Abandon()
	}
	end, accepted := e.decide(t, ev)
	e.mu.Unlock()
	switch {
	case accepted:
		e.accept(t, ev.Response)
	case end == errandGoesOn:
	case end == errandTriesNext:
		e.next()
	default:
		e.refuse()
	}
}

func (t *try) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// ownCredentials answers a backend's challenge where the gateway vouches for the sender: once, and once more where the nonce was
// stale. The caller holds mu.
func (e *errand) ownCredentials(t *try, res *sip.Response) bool {
	if !asksCredentials(res) || t.target.backend == nil || e.over || !e.b.ownAnswer(t.target.backend.Name(), e.in.identity) {
		return false
	}
	if t.asked > 0 && (t.asked > 1 || !sipside.StaleNonce(res)) {
		return false
	}
	t.asked++
	h, err := e.b.ownCredentials(t.target.backend, res, string(e.in.req.Method), t.dialog.Target, e.in.req.Body())
	t.answer = h
	return err == nil
}

// errandStep is what an errand does after the end of a try.
type errandStep uint8

const (
	errandGoesOn    errandStep = iota // others of the stage are under way, or it is over
	errandTriesNext                   // the next stage
	errandRefused                     // nobody is left
)

// decide keeps the best refusal and says what comes next. The caller holds mu.
func (e *errand) decide(t *try, ev transaction.Event) (next errandStep, accepted bool) {
	if e.over {
		return errandGoesOn, false
	}
	if ev.Response != nil && ev.Response.IsSuccess() {
		e.over = true
		return errandGoesOn, true
	}
	if ev.Err != nil && t.target.backend != nil {
		t.target.backend.Suspect()
	}
	why := e.refusal(t, ev)
	if e.best == nil || better(refusal{status: why.status}, refusal{status: e.best.status}) {
		e.best = &why
	}
	if slices.ContainsFunc(e.tries, func(t *try) bool { return !t.over }) {
		return errandGoesOn, false
	}
	another := ev.Response == nil || e.b.worthTrying(t.target.backendName(), ev.Response.StatusCode)
	if ev.Response != nil && !another {
		if left, ok := e.b.elsewhere(ev.Response.StatusCode, t.target, e.stages); ok {
			another, e.stages = true, left
		}
	}
	if ev.Response != nil && nextServer(t.target.backend, ev.Response.StatusCode) {
		e.stages = append([]stage{{t.target}}, e.stages...)
	}
	if another && len(e.stages) > 0 {
		e.best = nil
		e.b.counters.failedOver()
		return errandTriesNext, false
	}
	e.over = true
	return errandRefused, false
}

// refusal makes of a try's end what the sender is to see.
func (e *errand) refusal(t *try, ev transaction.Event) reply {
	res := ev.Response
	switch {
	case res == nil && t.target.backend == nil:
		return reply{status: 480, why: "the browser does not answer: " + silence(ev.Err)}
	case res == nil:
		return reply{status: 504, why: silence(ev.Err)}
	case res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired:
		return e.challenge(t.target.backend, t, res)
	}
	no := refusalOf(res, e.in.browser != nil)
	no.headers = append(no.headers, pick(res.Headers(), tellsOfEvents)...)
	no = no.through(e.b.veilOfSender(e.in))
	r := reply{status: no.status, reason: no.phrase, headers: no.headers}
	if no.reason != "" {
		r.headers = append(r.headers, sip.NewHeader("Reason", no.reason))
	}
	return r
}

// challenge passes a backend's challenge on to a browser.
func (e *errand) challenge(by *sipside.Backend, t *try, res *sip.Response) reply {
	if e.in.browser == nil || by == nil || e.in.identity != "" {
		return reply{status: 403, why: "the other side asks for credentials"}
	}
	headers, err := challengeOf(e.b.with.Nonces, res, identity.Issuer{
		Backend: by.Name(), CallID: t.dialog.CallID, FromTag: t.dialog.LocalTag, CSeq: t.dialog.LocalSeq,
	})
	if err != nil {
		return reply{status: 403, why: err.Error()}
	}
	if !t.target.stale {
		e.in.judgedBehind(res)
	} else {
		headers = identity.Stale(headers)
	}
	return reply{status: res.StatusCode, headers: headers}
}

// accept answers with what the target accepted.
func (e *errand) accept(t *try, res *sip.Response) {
	if e.subject != nil {
		e.subject.accepted(t, res)
		return
	}
	e.b.respond(e.in.tx, e.b.passBack(res, e.in.browser != nil, e.b.veilOfSender(e.in)))
}

func (e *errand) refuse() {
	if e.subject != nil {
		e.subject.end()
	}
	e.b.respond(e.in.tx, *e.best)
}
