package bridge

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/transaction"
)

// The SIP status of everything that we refuse ourselves, and of everything that we pass on, is chosen in this file.

// statusOf is the status by an error's class.
func statusOf(err error) int {
	switch {
	case errors.Is(err, sdp.ErrMalformed):
		return 400
	case errors.Is(err, errBodyType):
		return 415
	case errors.Is(err, sdp.ErrNotAcceptable), errors.Is(err, errNoAnswer):
		return 488
	}
	return 500
}

// refusal is a final response on its way to the other side.
type refusal struct {
	status  int
	phrase  string
	reason  string // the Reason header's value
	headers []sip.Header
}

// refusalOf says how a callee's final refusal is shown to a caller. A backend's 503 is about itself, never about the callee: to a
// browser it is 480, to a backend 500 (RFC 3261 §16.7 forbids to pass it on). A redirection names addresses that the caller cannot
// reach, so it is 480 as well.
func refusalOf(res *sip.Response, toBrowser bool) refusal {
	out := refusal{status: res.StatusCode, phrase: res.Reason, reason: reasonsOf(res), headers: crossing(res.Headers())}
	switch {
	case res.StatusCode == http.StatusServiceUnavailable && !toBrowser:
		out.status, out.phrase = 500, ""
	case res.StatusCode == http.StatusServiceUnavailable, res.StatusCode < 400:
		out.status, out.phrase = 480, ""
	}
	if out.status != res.StatusCode && out.reason == "" {
		out.reason = reasonValue(res.StatusCode, res.Reason)
	}
	return out
}

// worthTrying says whether a final refusal of a backend is about the member and not about the callee: another member may do better.
func (b *Bridge) worthTrying(backend string, status int) bool {
	return status == 503 || status == 408 || b.peering(backend).Failover.Has(status)
}

// silence says why there is no answer; what exactly failed behind the gateway stands in the log.
func silence(err error) string {
	if errors.Is(err, errSilent) || errors.Is(err, transaction.ErrTimeout) {
		return "no answer in time"
	}
	return "not reached"
}

// patience is how long a backend may say nothing but 100 while there is another.
func (b *Bridge) patience(backend string) time.Duration {
	return cmp.Or(b.peering(backend).TryTimeout, b.cfg.TryTimeout)
}

// better says whether a refusal is to be preferred to another (RFC 3261 §16.7): a 6xx ends the search, then what is closest to
// the user.
func better(a, b refusal) bool {
	rank := func(r refusal) int {
		switch {
		case r.status >= 600:
			return 5
		case r.status == 401 || r.status == 407:
			return 4
		case r.status == 415 || r.status == 420 || r.status == 484: // the caller can do something about it
			return 3
		case r.status == 408 || r.status == 480 || r.status >= 500:
			return 1
		case r.status == 487:
			return 0
		}
		return 2
	}
	return rank(a) > rank(b)
}

// lostDialog says whether a response to an in-dialog request means that the peer knows the dialog no more (RFC 5057 §5.1).
func lostDialog(status int) bool { return status == 481 || status == 404 || status == 410 }
