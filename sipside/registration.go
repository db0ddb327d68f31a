package sipside

import (
	"cmp"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Account is a trunk's credentials and what becomes of them.
type Account struct {
	Username string
	Domain   string // that registers us; "": the host of the trunk's URI
	// Answer gives the header that answers a 401 or 407 to a request with this method, Request-URI and body. nil: challenges are
	// not answered.
	Answer Answerer
	// Ahead gives that header by the nonce of the last challenge, before there is another; its result may be nil, as it may.
	Ahead    func(method, uri string, body []byte) sip.Header
	Version  string        // another where Answer is another
	Register bool          // keep a binding of our Contact there (RFC 3261 §10.2)
	Expires  time.Duration // what is asked for; 0: an hour
}

// same says whether a registration by one account is as good as one by the other. Expires 0 is the default.
func (a Account) same(b Account) bool {
	return a.Username == b.Username && a.Domain == b.Domain && a.Version == b.Version && a.Register == b.Register &&
		cmp.Or(a.Expires, registerExpires) == cmp.Or(b.Expires, registerExpires)
}

const (
	registerExpires  = time.Hour
	registerBackOff  = 30 * time.Second // RFC 5626 §4.5: base time where all flows failed
	registerLongest  = 30 * time.Minute // its max time
	registerRefused  = time.Hour        // who said no for good is asked again rarely: it may lock an account
	challengesAtOnce = 2                // a second one only for a nonce that went stale
)

// registration is the state of our binding at a trunk; a table without I/O.
type registration struct {
	asks       time.Duration // what the next REGISTER asks for
	registered bool
	failures   int // in a row
	challenges int // since the last outcome that was none
	brief      bool
}

// verdict is what came of one REGISTER.
type verdict int

const (
	regGranted    verdict = iota // 2xx with our Contact
	regChallenged                // 401 or 407 that we can answer
	regTooBrief                  // 423 (RFC 3261 §10.2.8)
	regForbidden                 // nothing will change by asking again soon
	regFailed                    // silence, 5xx, no way
)

// outcome is a verdict with what it says.
type outcome struct {
	verdict verdict
	time    time.Duration // regGranted: the expiry; regTooBrief: Min-Expires; regForbidden, regFailed: Retry-After
	stale   bool          // regChallenged: the nonce was good once
}

// next takes an outcome and says how long to wait until the next REGISTER, before jitter; 0: at once.
func (r *registration) next(o outcome) time.Duration {
	switch o.verdict {
	case regChallenged:
		r.challenges++
		if r.challenges == 1 || r.challenges <= challengesAtOnce && o.stale {
			return 0
		}
		return r.next(outcome{verdict: regForbidden}) // the credentials are wrong
	case regTooBrief:
		if !r.brief && o.time > r.asks {
			r.asks, r.brief, r.challenges = o.time, true, 0
			return 0
		}
		return r.next(outcome{verdict: regFailed})
	case regGranted:
		*r = registration{asks: r.asks, registered: true}
		return refreshAfter(o.time)
	}
	r.registered, r.challenges, r.brief = false, 0, false
	if o.verdict == regForbidden {
		return max(o.time, registerRefused)
	}
	wait := registerLongest
	if r.failures < 6 {
		wait = min(registerBackOff<<r.failures, registerLongest)
	}
	r.failures++
	return max(wait, o.time)
}

// refreshAfter is when to renew a binding: early enough for a lost REGISTER to be repeated (RFC 3261 §10.2.4).
func refreshAfter(expires time.Duration) time.Duration {
	const spare = 30 * time.Second
	if expires > 4*spare {
		return expires - max(spare, expires/10)
	}
	return expires / 2
}
