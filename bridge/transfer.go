package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"
)

// transfer is one that the gateway does: the referrer's far leg is kept and joined with somebody else. Two calls take part: this
// one, and that which the kept leg goes to.
type transfer struct {
	by       *leg
	kept     *leg
	report   *referral
	to       *call // a search of ours for the target; nil: the dialog that is replaced is there already
	done     bool  // the kept leg is where it belongs
	replaced bool  // not by REFER: by an INVITE that takes the place of by
}

// referrerGrace is how long a referrer has to hang up by itself once it heard of the success.
const referrerGrace = 5 * time.Second

// transferTo begins a transfer: to the far end of a leg that is to be replaced, or to whom a search finds.
func (c *call) transferTo(by *leg, in inbound, to referTo, instead *leg) {
	t := &transfer{by: by, kept: c.far(by), report: by.acceptRefer(in)}
	c.transfer = t
	c.noteTransfer(Transfer{By: by.name, Kind: to.kind(), To: to.bare()})
	t.report.notify(100, "")
	if instead != nil {
		c.replaceBy(t, instead)
		return
	}
	search, err := c.search(t, in, to)
	if err != nil {
		c.transferFailed(t, err.status, err.why)
		return
	}
	t.to = search
}

// transferProgress tells the referrer that the target rings.
func (c *call) transferProgress(t *transfer, status int, reason string) {
	if c.transfer == t {
		t.report.notify(status, reason)
	}
}

// transferFailed leaves the kept leg with the referrer; where that hung up meanwhile, the call ends.
func (c *call) transferFailed(t *transfer, status int, reason string) {
	if c.transfer != t || c.state >= callEnding {
		return
	}
	c.transfer = nil
	c.noteReport(status)
	c.log.Info("transfer failed", "status", status, "reason", reason)
	t.report.notify(status, "")
	if t.by.state == legGone {
		c.fail(transferLost(t.by.name, status))
	}
}

// handOver sends the kept leg to the other call.
func (c *call) handOver(t *transfer, a arrival) {
	if c.transfer != t || c.state != callUp {
		a.to.post("transfer given up", func() { a.to.giveUpSearch() })
		return
	}
	a.from, a.seat = c, t.kept.name
	a.accepted = func(other string) { c.transferred(t, other) }
	a.refused = func() { c.transferFailed(t, 481, "the other call ended") }
	c.send(t.kept, a)
}

// transferred ends the call for the referrer: it hangs up, or we do after a grace.
func (c *call) transferred(t *transfer, other string) {
	t.done = true
	c.noteReport(200)
	c.record.Transfer.Call = other
	c.log.Info("transferred", "to", other)
	t.report.notify(200, "")
	if t.replaced {
		c.because(replacedBy(other))
	}
	c.because(transferredBy(t.by.name))
	if t.replaced || t.by.state == legGone {
		c.step(callHangUp, nil, nil)
		return
	}
	c.after(referrerGrace, "referrer's grace", func() { c.step(callHangUp, nil, nil) })
}

// referrerLeaves says whether a BYE is that of a referrer who does not wait for the outcome.
func (c *call) referrerLeaves(l *leg) bool {
	return c.transfer != nil && c.transfer.by == l && !c.transfer.done && c.state == callUp
}

// replaceBy sends the kept leg to the call of another leg of the referrer's, once that is established.
func (c *call) replaceBy(t *transfer, instead *leg) {
	until := time.Now().Add(c.bridge.cfg.RingLimit)
	if !instead.post("attended transfer", func() { instead.awaitReplacement(c, t, until) }) {
		c.transferFailed(t, 481, "the other call ended")
	}
}

// readiness is how often a call that is not established yet is looked at again.
const readiness = 200 * time.Millisecond

// awaitReplacement runs on the call of the leg that is to be replaced.
func (l *leg) awaitReplacement(from *call, t *transfer, until time.Time) {
	c := l.call
	switch {
	case c.state >= callEnding || l.state == legGone || l.state == legLeaving || time.Now().After(until):
		from.post("transfer failed", func() { from.transferFailed(t, 481, "the other call ended") })
	case c.state != callUp:
		c.after(readiness, "attended transfer", func() { l.awaitReplacement(from, t, until) })
	default:
		from.post("transfer ready", func() { from.handOver(t, arrival{to: c, replaces: l}) })
	}
}

// Transfer is what became of a call's latest transfer, in its record.
type Transfer struct {
	By     string `json:"by"`                // who sent the REFER: "caller", "callee"
	Kind   string `json:"kind"`              // "blind", "attended"; "replaced": by an INVITE with Replaces
	To     string `json:"to,omitempty"`      // the Refer-To
	Passed bool   `json:"passed,omitempty"`  // the backend did it
	Status int    `json:"status,omitempty"`  // the last that the referrer heard of it
	Call   string `json:"to_call,omitempty"` // the call in which the kept leg goes on
}

func (c *call) noteTransfer(t Transfer) {
	c.record.Transfer = &t
	c.log.Info("transfer", "by", t.By, "kind", t.Kind, "to", t.To, "passed", t.Passed)
}

func (c *call) noteReport(status int) {
	if c.record.Transfer != nil && status >= 200 {
		c.record.Transfer.Status = status
	}
}

// referredBy is who is named to the target as the referrer (RFC 3892): what the REFER says, else the referrer's address.
func (l *leg) referredBy(req *sip.Request) sip.Header {
	for _, name := range []string{"Referred-By", "b"} {
		if value := headerValue(req, name); value != "" && oneLine(value) {
			return sip.NewHeader("Referred-By", value)
		}
	}
	return sip.NewHeader("Referred-By", "<"+l.dialog.RemoteURI+">")
}
