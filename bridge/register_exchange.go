package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// lastChance is how many times TryTimeout the last living member has: there is nobody better left to ask, and a slow
// registrar is one.
const lastChance = 5

// errSilent is a member that said nothing but 100 in time.
var errSilent = errors.New("no answer in time")

// exchange is one REGISTER of a browser on its way through the members of its route's pools. It has no goroutine; its events come from the
// client transaction of the attempt that runs, and from its timer.
type exchange struct {
	// static once opened
	r       *registrar
	conn    *wss.Conn
	tx      *transaction.Server
	wish    registration
	in      inbound // whose identity is set in vouch mode: the credentials were for us
	members []registrarAt
	here    *route.Decision // says that the gateway is the registrar where no member can be reached; may be nil

	mu sync.Mutex
	// guarded by mu
	at      int        // the member of the attempt
	attempt int        // counts attempts: events of an earlier one are late
	bare    bool       // credentials stay behind, for they are for another member
	stale   bool       // the client's nonce is nobody's any more: challenge it anew
	longer  bool       // asked again after a 423
	answer  sip.Header // the gateway's own credentials for the member, in vouch mode
	cseq    uint32
	client  *transaction.Client
	timer   *time.Timer
}

// try sends the REGISTER to the member whose turn it is.
func (x *exchange) try() {
	x.mu.Lock()
	x.attempt++
	attempt, member := x.attempt, x.members[x.at]
	wait := x.r.b.patience(member.Name())
	if x.here == nil && !slices.ContainsFunc(x.members[x.at+1:], registrarAt.alive) {
		wait *= lastChance
	}
	x.cseq = x.r.nextSeq(x.wish.leg)
	out := x.request(member)
	x.timer = time.AfterFunc(wait, func() { x.event(attempt, transaction.Event{Err: errSilent}) })
	x.mu.Unlock()

	client, err := member.Request(out, func(e transaction.Event) { x.event(attempt, e) })
	if err != nil {
		x.event(attempt, transaction.Event{Err: err})
		return
	}
	x.mu.Lock()
	late := attempt != x.attempt
	if !late {
		x.client = client
	}
	x.mu.Unlock()
	if late {
		client.Abandon()
	}
}

// request builds the REGISTER for a member: on a leg of our own, the Request-URI byte for byte. The caller holds mu.
func (x *exchange) request(member registrarAt) transaction.Outbound {
	in := x.tx.Request()
	uri, changed := rewritten(in.Recipient, member.change)
	req := sip.NewRequest(sip.REGISTER, *uri.Clone())
	hops := sip.MaxForwardsHeader(70)
	if h := in.MaxForwards(); h != nil {
		hops = *h - 1
	}
	req.AppendHeader(&hops)
	from := sip.HeaderClone(in.From()).(*sip.FromHeader)
	from.Address = callerAs(from.Address, member.change)
	from.Params = from.Params.Clone()
	from.Params.Add("tag", x.r.mint.tag(x.wish.leg, member.Name()))
	req.AppendHeader(from)
	to := sip.HeaderClone(in.To()).(*sip.ToHeader)
	to.Address = callerAs(to.Address, member.change)
	to.Params.Remove("tag")
	req.AppendHeader(to)
	callID := sip.CallIDHeader(x.r.mint.callID(x.wish.leg))
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: x.cseq, MethodName: sip.REGISTER})
	x.appendContacts(req, member.Backend)
	if !x.bare {
		for _, h := range credentials(in.Headers()) {
			req.AppendHeader(h)
		}
	}
	for _, h := range append(x.r.b.veilFor(member.Backend, "").Headers(crossing(in.Headers())), x.in.asserted(member.Backend)...) {
		req.AppendHeader(h)
	}
	if x.answer != nil {
		req.AppendHeader(x.answer)
	}
	obey(req, member.change)
	req.SetBody(nil)
	out := transaction.Outbound{Request: req, RequestURI: x.tx.RequestURI()}
	if changed {
		out.RequestURI = uri.String()
	}
	return out
}

func (x *exchange) appendContacts(req *sip.Request, member *sipside.Backend) {
	if x.wish.all {
		req.AppendHeader(sip.NewHeader("Contact", "*"))
		req.AppendHeader(sip.NewHeader("Expires", "0"))
		return
	}
	for i, c := range x.wish.contacts {
		seconds := x.r.asked(c, member.Name())
		req.AppendHeader(c.towards(member, seconds))
		if i == 0 {
			req.AppendHeader(sip.NewHeader("Expires", fmt.Sprint(seconds)))
		}
	}
}

// asked is the expiry that a backend is asked for: the client's, MaxExpires at most, but no less than the backend accepts.
func (r *registrar) asked(c contact, backend string) int {
	floor := r.floor.of(backend)
	asked := min(c.want, max(int(r.b.cfg.MaxExpires/time.Second), floor))
	if c.bounded {
		return max(asked, floor) // the client would ask in vain for longer
	}
	return asked
}

// event is what became of an attempt. What comes late, from an attempt that is over, is dropped.
func (x *exchange) event(attempt int, e transaction.Event) {
	if e.Response != nil && e.Response.StatusCode < 200 {
		return // a registrar that works on it is still silent (RFC 4320 forbids it to say more)
	}
	x.mu.Lock()
	if attempt != x.attempt {
		x.mu.Unlock()
		return
	}
	x.attempt++
	x.timer.Stop()
	client := x.client
	x.client = nil
	member, do := x.members[x.at], x.decide(e)
	x.mu.Unlock()

	if e.Err != nil {
		member.Suspect()
		if client != nil {
			client.Abandon()
		}
		x.log(slog.LevelWarn, "member does not answer", member, "error", e.Err)
	}
	if do != tryAgain {
		defer x.r.release(x.wish)
	}
	if e.Response != nil && do != tryAgain && !x.bare && !x.stale {
		x.in.judgedBehind(e.Response)
	}
	switch do {
	case tryAgain:
		x.try()
	case answerChallenge:
		x.challenge(member, e.Response)
	case answerAccepted:
		x.accept(member, e.Response)
	case answerRefused:
		x.refuse(member, e.Response)
	case answerDistrusted:
		x.distrusted(member, e.Response)
	case answerUnreached:
		x.unreached(e.Err)
	case answerHere:
		x.r.carryOnHere(x.in, x.wish, *x.here)
	}
}

// step is what an exchange does next.
type step int

const (
	tryAgain step = iota
	answerChallenge
	answerAccepted
	answerRefused
	answerDistrusted
	answerUnreached
	answerHere
)

// decide says what comes after the end of an attempt, and readies the next one where there is one. The caller holds mu.
func (x *exchange) decide(e transaction.Event) step {
	status := 0
	if e.Response != nil {
		status = e.Response.StatusCode
	}
	member := x.members[x.at]
	same := nextServer(member.Backend, status)
	switch {
	case same, (status == 0 || x.r.b.worthTrying(member.Name(), status)) && x.at+1 < len(x.members):
		if !same {
			x.at++
		}
		x.answer = nil
		if identity.NonceOf(x.tx.Request()) != "" {
			x.bare, x.stale = true, true
		}
		x.r.b.counters.failedOver()
		return tryAgain
	case x.here != nil && (status == 0 || x.r.b.worthTrying(member.Name(), status)):
		x.r.b.counters.failedOver()
		return answerHere
	case status == 0:
		return answerUnreached
	case status < 300:
		return answerAccepted
	case status == sip.StatusUnauthorized || status == sip.StatusProxyAuthRequired:
		if x.in.identity == "" {
			return answerChallenge
		}
		return x.answerOurselves(e.Response)
	case status == sip.StatusIntervalToBrief && x.lengthen(e.Response):
		return tryAgain
	}
	return answerRefused
}

// answerOurselves answers a member's challenge in vouch mode with the credentials that the gateway has for it, once. The caller
// holds mu.
func (x *exchange) answerOurselves(res *sip.Response) step {
	if x.answer != nil {
		return answerDistrusted
	}
	h, err := x.r.b.ownCredentials(x.members[x.at].Backend, res, string(sip.REGISTER), x.tx.RequestURI(), nil)
	if err != nil {
		return answerDistrusted
	}
	x.answer = h
	return tryAgain
}

// lengthen takes a 423 on itself where the client asked for enough: it was we who shortened. The backend's minimum is
// remembered, so that the next client's first attempt is long enough. The caller holds mu.
func (x *exchange) lengthen(res *sip.Response) bool {
	if res.GetHeader("Min-Expires") == nil || x.longer {
		return false
	}
	seconds := secondsOf(res.GetHeader("Min-Expires").Value(), 0)
	backend, shortened := x.members[x.at].Name(), false
	for _, c := range x.wish.contacts {
		if c.want > 0 && c.want < seconds && !c.bounded {
			return false
		}
		shortened = shortened || c.want > 0 && x.r.asked(c, backend) < seconds
	}
	if !shortened {
		return false
	}
	x.r.floor.set(backend, seconds)
	x.longer = true
	x.answer = nil // its nonce is used up
	// The credentials are used up: where the backend takes them no second time, the password is not at fault.
	x.stale = x.stale || identity.NonceOf(x.tx.Request()) != ""
	return true
}

func (x *exchange) log(level slog.Level, what string, member registrarAt, more ...any) {
	x.r.b.log.Log(context.Background(), level, "register: "+what, append([]any{
		"conn", x.conn.Name(), "backend", member.Name(), "tenant", member.tenant, "aor", x.wish.aor}, more...)...)
}
