package bridge

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// referral is a REFER that we accepted and report on (RFC 3515 §2.4.4): the peer's implicit subscription.
type referral struct {
	leg    *leg
	event  string
	silent bool       // the peer wants no reports: Refer-Sub: false (RFC 4488)
	wait   []progress // one NOTIFY at a time, lest they overtake each other
	busy   bool
	over   bool // the final one was said, or the peer knows the subscription no more
}

// progress is what one NOTIFY says.
type progress struct {
	status int
	phrase string
}

func (p progress) final() bool { return p.status >= 200 }

// referralTime is how long a subscription lasts at most, in seconds; the final NOTIFY ends it.
const referralTime = 180

// accept answers a REFER with 202 and makes its subscription.
func (l *leg) acceptRefer(in inbound) *referral {
	r := &referral{leg: l, event: l.referEvent(in.req), silent: strings.EqualFold(headerValue(in.req, "Refer-Sub"), "false")}
	headers := []sip.Header{}
	if l.peer != nil {
		headers = append(headers, l.contact())
	}
	if r.silent {
		headers = append(headers, sip.NewHeader("Refer-Sub", "false"))
	}
	l.call.respond(l, in.tx, reply{status: 202, headers: headers})
	return r
}

// referEvent is the Event of the NOTIFYs about a REFER. The first's in a dialog has no id (RFC 3515 §2.4.6), for some phones look
// for none.
func (l *leg) referEvent(req *sip.Request) string {
	l.referred++
	if l.referred == 1 {
		return "refer"
	}
	return fmt.Sprintf("refer;id=%d", req.CSeq().SeqNo)
}

// notify reports a status; one of 200 and above is the last.
func (r *referral) notify(status int, phrase string) {
	if r.silent || r.over {
		return
	}
	r.wait = append(r.wait, progress{status, phrase})
	r.over = status >= 200
	r.next()
}

func (r *referral) next() {
	if r.busy || len(r.wait) == 0 || r.leg.state != legConfirmed {
		return
	}
	p := r.wait[0]
	r.wait, r.busy = r.wait[1:], true
	state := fmt.Sprintf("active;expires=%d", referralTime)
	if p.final() {
		state = "terminated;reason=noresource"
	}
	r.leg.send(r.leg.notifyRequest(r.event, state, sipfrag(p.status, r.leg.veil().Text(p.phrase))), func(ev transaction.Event) {
		r.busy = false
		if ev.Response != nil && ev.Response.StatusCode == 481 { // of the subscription, or of the dialog: its own requests will tell
			r.over, r.wait = true, nil
		}
		r.next()
	})
}

// notifyRequest is a NOTIFY about a REFER.
func (l *leg) notifyRequest(event, state string, body []byte) transaction.Outbound {
	out := l.dialog.request(sip.NOTIFY)
	out.AppendHeader(sip.NewHeader("Event", event))
	out.AppendHeader(sip.NewHeader("Subscription-State", state))
	if len(body) > 0 {
		out.AppendHeader(sip.NewHeader("Content-Type", "message/sipfrag;version=2.0"))
	}
	out.SetBody(body)
	return out
}

// onNotify is a report of a backend on a REFER that we passed to it: it goes to the referrer, translated.
func (l *leg) onNotify(in inbound) {
	c := l.call
	far := c.far(l)
	name, params, _ := strings.Cut(headerValue(in.req, "Event"), ";")
	if name == "" {
		name, params, _ = strings.Cut(headerValue(in.req, "o"), ";")
	}
	if !strings.EqualFold(strings.TrimSpace(name), "refer") {
		c.respond(l, in.tx, reply{status: 489, why: "only reports on REFER come within a call", headers: []sip.Header{sip.NewHeader("Allow-Events", "refer")}})
		return
	}
	seq, event, ok := l.passedRefer(params)
	if !ok || far == nil || far.state != legConfirmed {
		c.respond(l, in.tx, reply{status: 481, why: "no such subscription"})
		return
	}
	state := headerValue(in.req, "Subscription-State")
	if strings.HasPrefix(strings.ToLower(state), "terminated") {
		delete(l.passed, seq)
	}
	c.noteReport(parseSipfrag(in.req.Body()))
	body := far.veil().Body("message/sipfrag", in.req.Body())
	far.send(far.notifyRequest(event, state, body), func(ev transaction.Event) {
		status := 481
		if ev.Response != nil {
			status = ev.Response.StatusCode
		}
		c.respond(l, in.tx, reply{status: status})
	})
}

// passedRefer finds the REFER that a NOTIFY is about: by its id, else the only one.
func (l *leg) passedRefer(params string) (seq uint32, event string, ok bool) {
	for param := range strings.SplitSeq(params, ";") {
		if name, id, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(name), "id") {
			n, err := strconv.ParseUint(strings.TrimSpace(id), 10, 32)
			event, ok = l.passed[uint32(n)]
			return uint32(n), event, ok && err == nil
		}
	}
	for seq, event = range l.passed {
		return seq, event, len(l.passed) == 1
	}
	return 0, "", false
}
