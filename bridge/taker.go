package bridge

import (
	"fmt"
	"slices"

	"tandem/bridge/route"
	"tandem/sipside/transaction"
)

// An INVITE with Replaces (RFC 3891) takes the place of a leg of ours: its caller goes on talking with that leg's far end. It is a
// call of its own, whose callee comes from the other call.

// serveTaker opens the call of an INVITE whose Replaces names a leg of ours. False where it names none: then the routes decide,
// for it may be a dialog of two others.
func (b *Bridge) serveTaker(in inbound, d route.Decision) bool {
	values := slices.Collect(transaction.Named(in.req, "Replaces"))
	if len(values) == 0 {
		return false
	}
	named, err := parseReplaces(values[0].Value())
	if err != nil || len(values) > 1 {
		b.respond(in.tx, reply{status: 400, why: errReplaces.Error()})
		return true
	}
	l := b.calls.dialog(named.key())
	if l == nil {
		return false
	}
	ended := func() { b.respond(in.tx, reply{status: 481, why: "the dialog to be replaced is gone"}) }
	b.respond(in.tx, reply{status: 100})
	if !l.post("INVITE with Replaces", func() {
		if status, why := l.mayBeTaken(in, named); status != 0 {
			b.respond(in.tx, reply{status: status, why: why})
			return
		}
		b.openTaker(in, l, named, d)
	}) {
		ended()
	}
	return true
}

// mayBeTaken says why an INVITE may not take the leg's place (RFC 3891 §3); 0: it may.
func (l *leg) mayBeTaken(in inbound, r replaces) (status int, why string) {
	c := l.call
	if l.rings(r.fromTag) {
		return l.mayBePickedUp(in)
	}
	switch {
	case l.dialog.RemoteTag != r.fromTag || !l.ownedBy(in):
		return 481, "no such dialog of yours"
	case l.state == legLeaving || l.state == legGone || c.state >= callEnding:
		return 603, "the dialog to be replaced has ended"
	case l.state != legConfirmed || c.state != callUp:
		return 481, "the dialog to be replaced is not confirmed, and none that rings here"
	case r.earlyOnly:
		return 486, "the dialog to be replaced is confirmed"
	case c.transfer != nil:
		return 491, "a transfer is under way"
	}
	return 0, ""
}

// ownedBy says whether a request's sender may dispose of the leg: the same user's browser, the same pool, or one that is trusted
// as the leg's peer is.
func (l *leg) ownedBy(in inbound) bool {
	b := l.call.bridge
	switch {
	case in.browser == nil && !l.browser():
		return in.backend.Pool() == poolOf(l.backend) || !b.peering(in.backend.Name()).Untrusted && !l.peering().Untrusted
	case in.browser == nil || !l.browser():
		return false
	}
	if in.browser.Flow() == l.flow {
		return true
	}
	for _, binding := range b.with.Store.ByFlow(in.browser.Flow()) {
		if binding.AOR == l.aor {
			return true
		}
	}
	return false
}

// openTaker opens the call; it runs on that of the leg.
func (b *Bridge) openTaker(in inbound, l *leg, named replaces, d route.Decision) {
	c := b.openCall(in, d.Tenant, l.call.far(l).backend)
	c.taking, c.tape = l, newTape(d.Record)
	rings := l.rings(named.fromTag)
	if !b.begin(c, in) {
		return
	}
	c.caller.keep(b.callerOf(in))
	c.post("start", func() { c.startTaking(rings) })
	c.bridge.runners.run(c.run)
}

// startTaking hears the caller's offer and asks for the callee, from a call that is up or one that still rings.
func (c *call) startTaking(rings bool) {
	l := c.taking
	if !c.hearCaller() {
		return
	}
	c.ring = c.after(c.bridge.cfg.TryTimeout+moveLimit, "ring-limit", func() { c.fail(ringTimeout()) })
	said := c.caller.neg
	if !l.post("replaced", func() {
		if rings {
			l.isPickedUp(c, said)
			return
		}
		l.giveFar(c)
	}) {
		c.giveUpSearch()
	}
}

// giveFar sends the leg's far leg to the call that takes the leg's place.
func (l *leg) giveFar(to *call) {
	c := l.call
	if c.transfer != nil || c.state != callUp || l.state != legConfirmed {
		to.post("nobody to take", func() { to.giveUpSearch() })
		return
	}
	t := &transfer{by: l, kept: c.far(l), report: &referral{leg: l, silent: true}, replaced: true}
	c.transfer = t
	c.noteTransfer(Transfer{By: l.name, Kind: "replaced"})
	c.handOver(t, arrival{to: to, into: byCallee})
}

// acceptTaken answers the caller now that its callee is there.
func (c *call) acceptTaken() {
	c.taking = nil
	c.callee.neg = c.callee.neg.Resumed()
	c.noteAnswer(c.callee.backend)
	c.startTape()
	c.caller.afterPracks(func() {
		if err := c.answerCaller(); err != nil {
			c.fail(badSession(byCaller, fmt.Errorf("in the place of another: %w", err)))
			return
		}
		c.caller.step(legAccept)
		c.mend(c.callee, c.caller)
	})
}

// nobodyToReplace says whether an INVITE names with Replaces a dialog that a browser would know nothing of.
func nobodyToReplace(in inbound, d route.Decision) bool {
	return d.To == route.Browsers && transaction.First(in.req, "Replaces") != nil
}
