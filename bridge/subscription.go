package bridge

import (
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// subscription is a SUBSCRIBE and its NOTIFYs (RFC 6665): a dialog with the subscriber and one with the notifier, whose Call-IDs,
// tags and CSeqs are translated. It has no goroutine.
type subscription struct {
	// static after construction
	all *subscriptions
	in  inbound // the SUBSCRIBE that opens it

	mu sync.Mutex
	// guarded by mu, ends among it
	near  party    // the subscriber
	far   party    // the notifier
	early []notice // NOTIFYs that came before the subscriber had its answer
	up    bool     // the subscriber had its 2xx
	over  bool
	limit *time.Timer // the end of what was granted, or of waiting for the last NOTIFY
	grace *time.Timer // a browser that is gone comes back, or not
}

// party is one side of a subscription.
type party struct {
	peer   peer // nil: the browser's connection is lost
	flow   string
	aor    string
	dialog Dialog
}

func (p *party) key() dialogKey { return dialogKey{p.dialog.CallID, p.dialog.LocalTag} }

func (p *party) browser() bool { return p.flow != "" }

// notice is a request that waits.
type notice struct {
	from *party
	in   inbound
}

const (
	lastNotify    = 32 * time.Second // after the end of a subscription: its last NOTIFY (64·T1)
	defaultExpiry = time.Hour        // where the notifier does not say (RFC 6665 §3.1.1)
	earlyNotifies = 8
)

// open makes the subscription of a SUBSCRIBE; it has no notifier yet.
func (s *subscriptions) open(in inbound) *subscription {
	sub := &subscription{all: s, in: in}
	sub.near = party{peer: in.peer(), dialog: dialogOfInvite(in.tx.Request(), s.b.ids.tag(), s.b.ids.token())}
	if in.browser != nil {
		sub.near.flow, sub.near.aor = in.browser.Flow(), aorOf(in.req.From().Address)
	}
	return sub
}

// tries is a SUBSCRIBE that is about to leave: the NOTIFY may be quicker than its answer.
func (s *subscription) tries(t *try) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.remove(&s.far)
	s.far = party{peer: t.target.peer(), dialog: t.dialog}
	if t.target.browser != nil {
		s.far.flow, s.far.aor = t.target.browser.Flow(), t.target.binding.AOR
	}
	s.all.add(s, &s.far)
}

// accepted is the notifier's 2xx to the first SUBSCRIBE.
func (s *subscription) accepted(t *try, res *sip.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.far.dialog
	s.far.dialog = s.far.dialog.answered(res)
	if heard.RemoteTag != "" { // a NOTIFY came first: its sender is the notifier
		s.far.dialog.RemoteTag, s.far.dialog.RemoteSeq = heard.RemoteTag, heard.RemoteSeq
	}
	s.up = true
	s.all.add(s, &s.near)
	s.granted(res, s.in.req)
	s.answer(&s.near, s.in, res)
	for _, n := range s.early {
		s.pass(n.from, n.in)
	}
	s.early = nil
	if s.in.browser != nil {
		select {
		case <-s.in.browser.Done(): // BrowserGone may have come before
			go s.all.gone(s.near.flow) // it takes mu
		default:
		}
	}
}

// answer passes a final response back to a party. The caller holds mu.
func (s *subscription) answer(to *party, in inbound, res *sip.Response) {
	r := s.all.b.passBack(res, to.browser(), s.all.b.veilFor(to.peer, to.aor))
	r.tag = to.dialog.LocalTag
	if res.IsSuccess() && in.req.Method == sip.SUBSCRIBE && to.peer != nil {
		r.headers = append(r.headers, &sip.ContactHeader{Address: to.peer.Contact(to.dialog.Token)})
	}
	s.all.b.respond(in.tx, r)
}

// granted waits as long as a 2xx to SUBSCRIBE says. The caller holds mu.
func (s *subscription) granted(res *sip.Response, req *sip.Request) {
	asked := secondsOf(headerValue(req, "Expires"), int(defaultExpiry/time.Second))
	seconds := secondsOf(headerValue(res, "Expires"), asked)
	s.within(time.Duration(seconds)*time.Second + lastNotify)
}

// within ends the subscription after d. The caller holds mu.
func (s *subscription) within(d time.Duration) {
	if s.limit != nil {
		s.limit.Stop()
	}
	s.limit = time.AfterFunc(d, s.end)
}

// serve is a request within one of the two dialogs.
func (s *subscription) serve(from *party, in inbound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.all.b
	if !s.all.owns(s, from, in) {
		b.respond(in.tx, reply{status: 481, why: "not a party to this subscription"})
		return
	}
	if from == &s.far && from.dialog.RemoteTag == "" && in.req.Method == sip.NOTIFY { // RFC 6665 §4.4.1: it makes the dialog
		tag, _ := in.req.From().Params.Get("tag")
		from.dialog.RemoteTag = tag
	}
	inOrder, err := from.dialog.check(in.req)
	wanted := from == &s.far && in.req.Method == sip.NOTIFY || from == &s.near && in.req.Method == sip.SUBSCRIBE
	switch {
	case err != nil || s.over:
		b.respond(in.tx, reply{status: 481})
	case !inOrder:
		b.respond(in.tx, reply{status: 500, why: "CSeq is out of order", tag: from.dialog.LocalTag})
	case !wanted:
		b.respond(in.tx, notAllowed(in.req.Method))
	case !s.up && len(s.early) < earlyNotifies:
		s.early = append(s.early, notice{from, in})
	case !s.up:
		b.respond(in.tx, reply{status: 480, why: "the subscriber has no answer yet", headers: []sip.Header{retryAfter()}})
	default:
		s.pass(from, in)
	}
}

// pass gives a request to the other party. The caller holds mu.
func (s *subscription) pass(from *party, in inbound) {
	from.dialog.hear(in.req)
	to := &s.near
	if from == to {
		to = &s.far
	}
	if to.peer == nil { // it may come back before the subscription ends
		s.all.b.respond(in.tx, reply{status: 480, why: "the browser's connection is gone", tag: from.dialog.LocalTag, headers: []sip.Header{retryAfter()}})
		return
	}
	out := to.dialog.request(in.req.Method)
	s.all.b.passOn(out.Request, in.req, !from.browser(), to.browser(), s.all.b.veilFor(to.peer, to.aor))
	if from == &s.near {
		for _, h := range append(credentials(in.req.Headers()), in.asserted(to.peer)...) {
			out.AppendHeader(h)
		}
	}
	out.AppendHeader(&sip.ContactHeader{Address: to.peer.Contact(to.dialog.Token)})
	_, err := to.peer.Request(out, func(ev transaction.Event) {
		if ev.Response == nil || !ev.Response.IsProvisional() {
			s.passed(from, in, ev)
		}
	})
	if err != nil {
		go s.passed(from, in, transaction.Event{Err: err}) // mu is held
	}
}

// passed is the end of a request that was passed on.
func (s *subscription) passed(from *party, in inbound, ev transaction.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := ev.Response
	last := in.req.Method == sip.NOTIFY && terminates(in.req)
	switch {
	case res == nil:
		s.all.b.respond(in.tx, reply{status: 480, why: silence(ev.Err), tag: from.dialog.LocalTag})
	case res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired:
		s.challenge(from, in, res)
	default:
		s.answer(from, in, res)
		last = last || lostDialog(res.StatusCode)
		if res.IsSuccess() && in.req.Method == sip.SUBSCRIBE {
			s.granted(res, in.req)
		}
	}
	if last {
		s.endLocked()
	}
}

// challenge passes the notifier's challenge of a refresh on; the browser's credentials come within the dialog. The caller holds mu.
func (s *subscription) challenge(to *party, in inbound, res *sip.Response) {
	r := reply{status: 403, why: "the other side asks for credentials", tag: to.dialog.LocalTag}
	if backend, ok := s.far.peer.(*sipside.Backend); ok && to.browser() && in.identity == "" {
		headers, err := challengeOf(s.all.b.with.Nonces, res, identity.Issuer{Backend: backend.Name()})
		if err == nil {
			r = reply{status: res.StatusCode, tag: to.dialog.LocalTag, headers: headers}
		}
	}
	s.all.b.respond(in.tx, r)
}

// terminates says whether a NOTIFY is a subscription's last.
func terminates(req *sip.Request) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(headerValue(req, "Subscription-State"))), "terminated")
}

// unsubscribe tells the notifier that nobody listens any more.
func (s *subscription) unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !s.up || s.far.peer == nil {
		s.endLocked()
		return
	}
	out := s.far.dialog.request(sip.SUBSCRIBE)
	out.AppendHeader(sip.NewHeader("Event", headerValue(s.in.req, "Event")))
	out.AppendHeader(sip.NewHeader("Expires", "0"))
	out.AppendHeader(&sip.ContactHeader{Address: s.far.peer.Contact(s.far.dialog.Token)})
	if _, err := s.far.peer.Request(out, func(transaction.Event) {}); err != nil {
		s.endLocked()
		return
	}
	s.within(lastNotify)
}

func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked()
}

// endLocked forgets the subscription. The caller holds mu.
func (s *subscription) endLocked() {
	s.over = true
	for _, t := range []*time.Timer{s.limit, s.grace} {
		if t != nil {
			t.Stop()
		}
	}
	s.all.remove(&s.near)
	s.all.remove(&s.far)
	for _, n := range s.early {
		s.all.b.respond(n.in.tx, reply{status: 481})
	}
	s.early = nil
}
