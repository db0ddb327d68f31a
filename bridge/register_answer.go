package bridge

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/hiding"
	"tandem/bridge/identity"
	"tandem/bridge/location"
)

// The final responses of a REGISTER to the browser. A backend's 503 is about itself and never shown: refusalOf.

// challenge passes a 401 or 407 on, as far as the browser can answer it.
func (x *exchange) challenge(member registrarAt, res *sip.Response) {
	headers, err := challengeOf(x.r.b.with.Nonces, res, identity.Issuer{Backend: member.Name()})
	if err != nil {
		x.log(slog.LevelWarn, "unusable challenge", member, "error", err)
		x.r.answer(x.tx, registerUnusable, reply{status: 403, why: err.Error()})
		return
	}
	if x.stale {
		headers = identity.Stale(headers)
	}
	headers = append(headers, x.veil().Headers(crossing(res.Headers()))...)
	x.r.answer(x.tx, registerChallenged, reply{status: res.StatusCode, headers: headers})
}

// accept stores what the backend granted, and answers with the browser's own Contacts. Contacts of other clients, the
// backend's Service-Route and its Path are not the browser's.
func (x *exchange) accept(member registrarAt, res *sip.Response) {
	x.keepNonce(member)
	now := x.r.now()
	var headers []sip.Header
	var bindings []location.Binding
	outcome, shortest := registerRemoved, 0
	for _, c := range x.wish.contacts {
		if c.want == 0 {
			continue
		}
		seconds := min(grantOf(res, c, x.r.asked(c, member.Name())), c.want)
		headers = append(headers, c.granted(seconds))
		bindings = append(bindings, x.binding(c, member, now.Add(time.Duration(seconds)*time.Second)))
		if outcome = registerAccepted; shortest == 0 || seconds < shortest {
			shortest = seconds
		}
	}
	if len(x.wish.contacts) == 0 && !x.wish.all {
		outcome = registerQueried
		headers = x.own(res)
	}
	x.r.unbind(x.wish)
	x.r.bind(x.conn, bindings)
	x.r.noteSubject(x.in, shortest)
	if outcome == registerAccepted {
		headers = append(headers, sip.NewHeader("Expires", strconv.Itoa(shortest)))
	}
	if outcome == registerAccepted && x.wish.outbound {
		headers = append(headers, sip.NewHeader("Require", "outbound")) // RFC 5626 §6: the flow is used
	}
	x.log(slog.LevelDebug, outcome, member, "expires", shortest)
	headers = append(headers, x.veil().Headers(crossingFromBackend(res.Headers()))...)
	x.r.answer(x.tx, outcome, reply{status: sip.StatusOK, headers: headers})
}

// veil is what hides the registrar's network from the browser.
func (x *exchange) veil() *hiding.Veil { return x.r.b.veilFor(x.conn, x.wish.aor) }

// keepNonce lets a nonce that was good live on: the client may use it again (RFC 7616 §3.4.3).
func (x *exchange) keepNonce(member registrarAt) {
	if nonce := identity.NonceOf(x.tx.Request()); nonce != "" && !x.bare {
		x.r.b.with.Nonces.Put(nonce, identity.Issuer{Backend: member.Name()})
	}
}

func (x *exchange) binding(c contact, member registrarAt, expires time.Time) location.Binding {
	return location.Binding{
		AOR: x.wish.aor, Token: c.token, Contact: c.uri, ContactParams: c.params, Instance: c.instance, RegID: c.regID,
		Flow: x.conn.Flow(), Backend: member.Name(), Tenant: member.tenant, Expires: expires, CallID: x.wish.callID, CSeq: x.wish.seq,
	}
}

// grantOf is the expiry that the backend gave our Contact: its expires parameter, else the Expires header, else what was asked;
// never more than that, and never nothing: a client that is told 0 or 1 would refresh without end.
func grantOf(res *sip.Response, c contact, asked int) int {
	seconds := asked
	if h := res.GetHeader("Expires"); h != nil {
		seconds = secondsOf(h.Value(), asked)
	}
	for _, h := range res.GetHeaders("Contact") {
		ours, ok := h.(*sip.ContactHeader)
		if !ok || ours.Address.User != c.token {
			continue
		}
		for _, p := range ours.Params {
			if sip.HeaderToLower(p.K) == "expires" {
				seconds = secondsOf(p.V, asked)
			}
		}
	}
	if seconds == 0 {
		return asked
	}
	return min(seconds, asked)
}

// own lists, for a query, those of the backend's bindings that are this connection's.
func (x *exchange) own(res *sip.Response) []sip.Header {
	var headers []sip.Header
	for _, h := range res.GetHeaders("Contact") {
		listed, ok := h.(*sip.ContactHeader)
		if !ok {
			continue
		}
		b, ok := x.r.b.with.Store.ByToken(listed.Address.User)
		if !ok || b.AOR != x.wish.aor || b.Flow != x.conn.Flow() {
			continue
		}
		left := int(b.Expires.Sub(x.r.now()) / time.Second)
		headers = append(headers, contact{uri: b.Contact, params: b.ContactParams}.granted(left))
	}
	return headers
}

// refuse passes a refusal on.
func (x *exchange) refuse(member registrarAt, res *sip.Response) {
	no := refusalOf(res, true).through(x.veil())
	headers := no.headers
	if no.reason != "" {
		headers = append(headers, sip.NewHeader("Reason", no.reason))
	}
	if h := res.GetHeader("Min-Expires"); h != nil && no.status == sip.StatusIntervalToBrief {
		headers = append(headers, sip.HeaderClone(h))
	}
	x.log(slog.LevelInfo, "refused", member, "status", res.StatusCode)
	x.r.answer(x.tx, registerRefused, reply{status: no.status, reason: no.phrase, headers: headers})
}

// distrusted is a member that asks for credentials in vouch mode, where it should trust the gateway or take its own.
func (x *exchange) distrusted(member registrarAt, res *sip.Response) {
	x.log(slog.LevelError, "the backend does not trust this gateway; register: vouch needs that, or username and password of its pool",
		member, "status", res.StatusCode)
	x.r.answer(x.tx, registerRefused, reply{status: 403, why: "the registrar does not trust this gateway"})
}

// unreached is the end of the list: no member answered.
func (x *exchange) unreached(cause error) {
	x.r.answer(x.tx, registerUnanswered, reply{status: 504, why: "no registrar answers: " + silence(cause)})
}
