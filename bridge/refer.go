package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// ReferPolicy is who transfers where a browser or another peer sends REFER.
type ReferPolicy string

const (
	ReferLocal ReferPolicy = "local" // the gateway joins the two that go on talking; the zero value too
	ReferPass  ReferPolicy = "pass"  // the backend, where it can
)

// onRefer is a REFER of the leg's peer (RFC 3515): it wants the far leg to talk to somebody else.
func (l *leg) onRefer(in inbound) {
	c := l.call
	to, r, bad := referToOf(in.req)
	far := c.far(l)
	switch {
	case bad:
		c.respond(l, in.tx, r)
	case c.transfer != nil:
		c.respond(l, in.tx, reply{status: 491, why: "a transfer is under way"})
	case c.state != callUp || l.state != legConfirmed || far.state != legConfirmed:
		c.respond(l, in.tx, reply{status: 491, why: "the call is not established"})
	case to.replaces != nil:
		l.findReplaced(in, to)
	case far.takesRefer() && l.maySend(to, far):
		l.passRefer(in, to, to.value, nil)
	default:
		c.transferTo(l, in, to, nil)
	}
}

// takesRefer says whether the peer is a backend that transfers itself.
func (l *leg) takesRefer() bool {
	return !l.browser() && l.peering().Refer == ReferPass && l.dialog.allows(sip.REFER)
}

// maySend says whether the routes would have the target called at the pool that is to transfer: it looks at no host, and knows
// nothing of what the referrer may not call.
func (l *leg) maySend(to referTo, far *leg) bool {
	d := l.call.bridge.with.Router.Route(l.inviteQuery(to.uri))
	return d.Reject == 0 && d.Goes(poolOf(far.backend)) && d.Change == nil
}

// replaced is the other dialog of an attended transfer, as its own call sees it.
type replaced struct {
	leg     *leg   // with the referrer
	backend string // where its far leg goes to; "": a browser
	far     Dialog // its far leg's
	status  int    // why it cannot be replaced; 0: it can
}

// findReplaced asks the call that the Replaces of a REFER names. A dialog that is not ours is that of two others: the INVITE in
// the name of the far leg says so.
func (l *leg) findReplaced(in inbound, to referTo) {
	c := l.call
	r := c.bridge.calls.dialog(to.replaces.key())
	if r == nil && !l.browser() {
		c.transferTo(l, in, to, nil)
		return
	}
	found := func(rep replaced) {
		c.post("dialog to be replaced", func() {
			if l.home.is(c) && l.state == legConfirmed {
				l.replacedFound(in, to, rep)
			}
		})
	}
	if r == nil || r.home.is(c) || !r.post("REFER", func() { found(r.toBeReplaced(l, *to.replaces)) }) {
		found(replaced{status: 481})
	}
}

// toBeReplaced says what is to be known of the leg where another of the same user's is to take its place.
func (l *leg) toBeReplaced(by *leg, r replaces) replaced {
	far := l.call.far(l)
	switch {
	case l.dialog.RemoteTag != r.fromTag, l.browser() != by.browser(), by.aor != l.aor, poolOf(by.backend) != poolOf(l.backend):
		return replaced{status: 481} // not the referrer's to dispose of
	case l.state == legLeaving, l.state == legGone, far == nil && l.call.state >= callEnding:
		return replaced{status: 603}
	}
	out := replaced{leg: l}
	if far != nil && l.call.state == callUp {
		out.backend, out.far = far.backend, far.dialog
	}
	return out
}

// replacedFound goes on with an attended transfer. The backend does it where both dialogs are its own.
func (l *leg) replacedFound(in inbound, to referTo, rep replaced) {
	c := l.call
	far := c.far(l)
	switch {
	case c.transfer != nil || c.state != callUp:
		c.respond(l, in.tx, reply{status: 491, why: "a transfer is under way"})
	case rep.status != 0:
		l.acceptRefer(in).notify(rep.status, "")
	case far.takesRefer() && rep.backend == far.backend:
		l.passRefer(in, to, naming(rep.far.Target, rep.far.replacesOf()), rep.leg)
	default:
		c.transferTo(l, in, to, rep.leg)
	}
}

// passRefer sends the REFER on to the far leg's peer; where that does not know the method after all, the gateway transfers.
func (l *leg) passRefer(in inbound, to referTo, value string, instead *leg) {
	c := l.call
	far := c.far(l)
	out := far.dialog.request(sip.REFER)
	seq := far.dialog.LocalSeq
	out.AppendHeader(sip.NewHeader("Refer-To", far.veil().Addressed(value)))
	for _, h := range far.veil().Headers(passedWithRefer(in.req)) {
		out.AppendHeader(h)
	}
	if far.passed == nil {
		far.passed = map[uint32]string{}
	}
	far.passed[seq] = l.referEvent(in.req)
	c.noteTransfer(Transfer{By: l.name, Kind: to.kind(), To: to.bare(), Passed: true})
	far.send(out, func(ev transaction.Event) {
		res := ev.Response
		switch {
		case res == nil:
			c.respond(l, in.tx, reply{status: 480, why: "the far side did not answer"})
		case res.StatusCode == 405 || res.StatusCode == 501:
			l.referred--
			c.transferTo(l, in, to, instead)
		default:
			r := reply{status: res.StatusCode, reason: res.Reason, headers: pick(res.Headers(), func(lower string) bool { return lower == "refer-sub" })}
			if !res.IsSuccess() {
				r.status, r.reason = refusalOf(res, l.browser()).status, ""
			}
			if l.peer != nil {
				r.headers = append(r.headers, l.contact())
			}
			c.respond(l, in.tx, r)
		}
		if res == nil || !res.IsSuccess() {
			delete(far.passed, seq)
		}
	})
}

// passedWithRefer are the headers of a REFER that cross with it.
func passedWithRefer(req *sip.Request) []sip.Header {
	return pick(req.Headers(), func(lower string) bool {
		return crosses(lower) || lower == "refer-sub"
	})
}
