package bridge

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/hiding"
	"tandem/sipside/transaction"
)

// What requests without a session carry across: headers, bodies of any kind, and those of events (RFC 6665, 3903).

// tellsOfEvents says which headers belong to events and the bodies about them. What a request requires is its receiver's matter.
func tellsOfEvents(lower string) bool {
	switch lower {
	case "require", "event", "o", "allow-events", "u", "subscription-state", "accept", "expires", "min-expires", "sip-etag", "sip-if-match",
		"suppress-if-match":
		return true
	}
	return false
}

// describesBody says which headers belong to a body.
func describesBody(lower string) bool {
	switch lower {
	case "content-type", "c", "content-encoding", "e", "content-language", "content-disposition", "mime-version":
		return true
	}
	return false
}

// passOn gives out what in carries, through the veil of whom it goes to.
func (b *Bridge) passOn(out, in *sip.Request, fromBackend, toBrowser bool, v *hiding.Veil) {
	across := crossing
	if fromBackend && toBrowser {
		across = crossingFromBackend
	}
	for _, h := range v.Headers(append(across(in.Headers()), pick(in.Headers(), tellsOfEvents)...)) {
		out.AppendHeader(h)
	}
	if listHas(listed(in, "Supported"), "eventlist") { // RFC 4662 §4.1
		out.AppendHeader(sip.NewHeader("Supported", "eventlist"))
	}
	if len(in.Body()) > 0 {
		for _, h := range pick(in.Headers(), describesBody) {
			out.AppendHeader(h)
		}
	}
	out.SetBody(v.Body(headerValue(in, "Content-Type"), in.Body()))
}

// passBack is a final response as it goes back, through the veil of whom it goes to.
func (b *Bridge) passBack(res *sip.Response, toBrowser bool, v *hiding.Veil) reply {
	across := crossing
	if toBrowser {
		across = crossingFromBackend
	}
	return reply{
		status: res.StatusCode, reason: strings.Clone(v.Text(res.Reason)),
		headers: v.Headers(append(across(res.Headers()), pick(res.Headers(), tellsOfEvents)...)),
	}
}

// passMessage gives a MESSAGE of a leg's peer to the other one (RFC 3428 §4).
func (l *leg) passMessage(in inbound) {
	c := l.call
	far := c.far(l)
	if far == nil || far.peer == nil || far.state != legConfirmed {
		c.respond(l, in.tx, reply{status: 480, why: "nobody is there to read it"})
		return
	}
	out := far.dialog.request(sip.MESSAGE)
	c.bridge.passOn(out.Request, in.req, !l.browser(), far.browser(), far.veil())
	far.send(out, func(ev transaction.Event) {
		switch res := ev.Response; {
		case res == nil:
			c.respond(l, in.tx, reply{status: 480, why: silence(ev.Err)})
		default:
			c.respond(l, in.tx, c.bridge.passBack(res, l.browser(), l.veil()))
		}
	})
}
