package bridge

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/wss"
)

// Where a route says vouch or local the gateway itself knows who its browsers are: each request outside a dialog goes through
// here before anything is done in a user's name.

// Limits of judging that asks over the network.
const (
	judgeTimeout = 10 * time.Second
	maxJudged    = 256 // at once
)

// vouched says whether a request is to be served in the name of a user whom the gateway has to know.
func vouched(in inbound, d route.Decision) bool {
	return in.browser != nil && (d.Register == route.Vouch || d.Register == route.Local)
}

// authorized calls then once it is known that the request comes from who it says (its From, or behind an anonymous From its
// P-Preferred-Identity): at once, or from another goroutine when a callback or key server had to be asked. in.identity is then
// the address of record; it is "" where the route does not ask for it. Else it answers itself: 401 or 407 with challenges to who
// proved nothing, 403 to who proved to be somebody else.
func (b *Bridge) authorized(in inbound, d route.Decision, then func(in inbound)) {
	if !vouched(in, d) {
		then(in)
		return
	}
	claim := claimOf(in.req)
	_, covered, proved := b.subjects.of(in.browser, claim)
	switch {
	case covered:
		in.identity = claim
		then(in)
	case proved && !in.hasCredentials():
		b.respond(in.tx, strangerTo(claim))
	default:
		b.prove(in, claim, func(identity.Subject) {
			in.identity = claim
			then(in)
		})
	}
}

// claimOf is the address of record that a request says it comes from (RFC 3325 §9.2).
func claimOf(req *sip.Request) string {
	from := req.From().Address
	if !isAnonymous(from) {
		return aorOf(from)
	}
	for _, h := range req.GetHeaders("P-Preferred-Identity") {
		var uri sip.Uri
		if _, err := sip.ParseAddressValue(h.Value(), &uri, nil); err == nil && uri.User != "" {
			return aorOf(uri)
		}
	}
	return aorOf(from)
}

// isAnonymous says whether a From is nobody's.
func isAnonymous(from sip.Uri) bool {
	return strings.EqualFold(from.User, "anonymous") || strings.EqualFold(from.Host, "anonymous.invalid")
}

func strangerTo(aor string) reply {
	return reply{status: 403, why: "this connection did not prove to be " + aor}
}

// hasCredentials says whether a request carries any, good or not.
func (in inbound) hasCredentials() bool {
	return in.req.GetHeader("Authorization") != nil || in.req.GetHeader("Proxy-Authorization") != nil
}

// prove judges a request's credentials, and calls then with the subject once they are good for the claim; else it answers.
func (b *Bridge) prove(in inbound, claim string, then func(identity.Subject)) {
	if b.with.Gate == nil {
		b.refuseIdentity(in, claim, reply{status: 403, why: "this gateway knows no users"})
		return
	}
	b.judge(in, claim, func(v identity.Verdict) {
		if v.Err == nil || errors.Is(v.Err, identity.ErrWrong) {
			in.browser.Judged(claim, v.Err == nil)
		}
		switch {
		case v.Err != nil:
			b.refuseIdentity(in, claim, b.challenging(in, v))
		case !covers(v.Subject, claim):
			b.refuseIdentity(in, claim, reply{status: 403, why: "the credentials are not those of " + claim})
		default:
			if v.Subject.Token { //, good for more than this request
				b.subjects.prove(in.browser, v.Subject, true)
			}
			then(v.Subject)
		}
	})
}

// judge has the credentials judged: here, or where that takes its time on a goroutine of its own.
func (b *Bridge) judge(in inbound, claim string, then func(identity.Verdict)) {
	var of sip.Uri
	_ = sip.ParseUri(claim, &of) // what does not parse has no domain
	attempt := identity.Attempt{
		Method: string(in.req.Method), Domain: of.Host, AOR: claim, Flow: in.browser.Flow(), Remote: in.browser.Remote().String(),
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, h := range in.req.GetHeaders(name) {
			attempt.Authorization = append(attempt.Authorization, h.Value())
		}
	}
	if !b.with.Gate.Waits(attempt) {
		then(b.with.Gate.Judge(context.Background(), attempt))
		return
	}
	select {
	case b.judging <- struct{}{}:
	default:
		then(identity.Verdict{Err: identity.ErrUnavailable})
		return
	}
	b.waiting.Store(in.tx, in.browser)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), judgeTimeout)
		defer cancel()
		v := b.with.Gate.Judge(ctx, attempt)
		<-b.judging
		if _, still := b.waiting.LoadAndDelete(in.tx); !still { // cancelled, and answered
			return
		}
		then(v)
		b.goneMeanwhile(in.browser)
	}()
}

// goneMeanwhile makes up for a BrowserGone that came before what it is about.
func (b *Bridge) goneMeanwhile(c *wss.Conn) {
	select {
	case <-c.Done():
		b.BrowserGone(c)
	default:
	}
}

// challenging is the answer to a verdict. Unknown users and wrong passwords have the same.
func (b *Bridge) challenging(in inbound, v identity.Verdict) reply {
	if errors.Is(v.Err, identity.ErrUnavailable) {
		return reply{status: 503, why: "who knows the users does not answer", headers: []sip.Header{retryAfter()}}
	}
	status, name := 407, "Proxy-Authenticate"
	if in.req.Method == sip.REGISTER {
		status, name = 401, "WWW-Authenticate"
	}
	r := reply{status: status, headers: challengesOf(name, v)}
	if !errors.Is(v.Err, identity.ErrNoCredentials) && !errors.Is(v.Err, identity.ErrStale) {
		b.log.Warn("credentials refused", "conn", in.browser.Name(), "remote", in.browser.Remote(), "method", in.req.Method, "error", v.Err)
	}
	return r
}

func (b *Bridge) refuseIdentity(in inbound, claim string, r reply) {
	if r.status != 401 && r.status != 407 {
		b.log.Log(context.Background(), slog.LevelWarn, "identity refused", "conn", in.browser.Name(), "remote", in.browser.Remote(),
			"aor", claim, "method", in.req.Method, "status", r.status, "reason", r.why)
	}
	if in.req.Method != sip.REGISTER {
		b.respond(in.tx, r)
		return
	}
	outcome := registerRejected
	if r.status == 401 {
		outcome = registerChallenged
	}
	b.registrar.answer(in.tx, outcome, r)
}

// proven says whether a browser's connection proved to be its leg's user's: by what it showed us, or by a registration that was
// accepted over it.
func (l *leg) proven(c *wss.Conn) bool {
	_, covered, _ := l.call.bridge.subjects.of(c, l.aor)
	return covered || l.registeredUser() == l.aor
}

// asserted is the caller's identity on our word (RFC 3325 §9.1), for a backend that trusts the gateway.
func (in inbound) asserted(to peer) []sip.Header {
	if _, browser := to.(*wss.Conn); browser || in.identity == "" {
		return nil
	}
	return []sip.Header{sip.NewHeader("P-Asserted-Identity", "<"+in.identity+">")}
}
