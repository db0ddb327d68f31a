package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
)

// The browsers' guard sits at their door (wss.Guard). What it cannot see there it is told here: in whose name a request is made, and
// what became of its credentials.

// keptOut asks whether a browser's request outside a dialog may come in, in the name that it says it comes from.
func (b *Bridge) keptOut(in inbound) (reply, bool) {
	if in.browser == nil || in.req.Method == sip.ACK {
		return reply{}, false
	}
	status, why := in.browser.Admit(in.claim())
	if status == 0 {
		return reply{}, false
	}
	if in.req.Method == sip.REGISTER {
		b.counters.register(registerRejected)
	}
	r := reply{status: status, why: why}
	if status == sip.StatusServiceUnavailable {
		r.headers = []sip.Header{retryAfter()}
	}
	return r, true
}

// claim is the address of record in whose name a request is made: a REGISTER's is its To.
func (in inbound) claim() string {
	if in.req.Method == sip.REGISTER {
		return aorOf(in.req.To().Address)
	}
	return claimOf(in.req)
}

// judgedBehind tells the guard what a backend thinks of the credentials that a browser sent through to whoever issued their nonce: a
// challenge that is not for a stale nonce says that they were wrong, and of a REGISTER a 403 or 404, too.
func (in inbound) judgedBehind(res *sip.Response) {
	if in.browser == nil || in.identity != "" || !in.hasCredentials() {
		return
	}
	register := in.req.Method == sip.REGISTER
	switch {
	case asksCredentials(res):
		if !sipside.StaleNonce(res) {
			in.browser.Judged(in.claim(), false)
		}
	case register && (res.StatusCode == sip.StatusForbidden || res.StatusCode == sip.StatusNotFound):
		in.browser.Judged(in.claim(), false)
	case register && res.StatusCode < 300:
		in.browser.Judged(in.claim(), true)
	}
}
