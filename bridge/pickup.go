package bridge

import (
	"strings"

	"tandem/bridge/sdp"
)

// A call that rings is picked up elsewhere (RFC 5359 §2.16): an INVITE with Replaces names the early dialog of a leg that we ring.
// The caller gets its 200 at once, made of what who picks up offered; all that rings is cancelled; and once the caller's ACK is
// there, its leg moves to the call of who picked up. Where what rings is the target of a transfer, the leg that is transferred does.

// rings says whether the leg is one that we ring and that said so with this tag: of other early dialogs none may be replaced
// (RFC 3891 §3).
func (l *leg) rings(tag string) bool {
	c := l.call
	br := c.branchOf(l)
	return br != nil && !br.over && br.early[tag] != nil && c.state < callAnswered
}

// mayBePickedUp says why an INVITE may not take the place of a leg that rings; 0: it may.
func (l *leg) mayBePickedUp(in inbound) (status int, why string) {
	if !l.ownedBy(in) && !l.colleague(in) {
		return 481, "no such dialog of yours"
	}
	return 0, ""
}

// colleague says whether who knows the tags of a dialog that rings may pick it up: a browser registered in the domain that is
// called, or a backend that is trusted. A call that runs is nobody's but its own user's: see ownedBy.
func (l *leg) colleague(in inbound) bool {
	b := l.call.bridge
	if !l.browser() && l.peering().Untrusted {
		return false
	}
	if in.browser == nil {
		return !b.peering(in.backend.Name()).Untrusted
	}
	called := l.aor
	if !l.browser() {
		called = l.dialog.RemoteURI
	}
	for _, binding := range b.with.Store.ByFlow(in.browser.Flow()) {
		if strings.EqualFold(hostOf(binding.AOR), hostOf(called)) {
			return true
		}
	}
	return false
}

// hostOf is what stands behind a URI's user, without port and parameters.
func hostOf(uri string) string {
	_, host, _ := strings.Cut(uri, "@")
	if end := strings.IndexAny(host, ":;?"); end >= 0 {
		host = host[:end]
	}
	return host
}

// isPickedUp has another call pick up the caller of a leg that rings; said is that one's side of offer and answer.
func (l *leg) isPickedUp(by *call, said sdp.Leg) {
	c := l.call
	if br := c.branchOf(l); br == nil || br.over || c.state >= callAnswered {
		by.post("nobody to take", func() { by.giveUpSearch() })
		return
	}
	if c.searching != nil {
		c.searchPickedUp(by)
		return
	}
	c.pickedUp(by, said)
}

// searchPickedUp has the target of a transfer, which rings, replaced by who picks up in another call: that one gets the kept leg.
func (c *call) searchPickedUp(by *call) {
	s := c.searching
	c.searching = nil
	if !s.origin.post("target picked up", func() { s.origin.handOver(s.t, arrival{to: by, into: byCallee}) }) {
		by.post("nobody to take", by.giveUpSearch)
	}
	c.fail(replacedBy(by.id))
}

// pickedUp answers the caller for who picks up in another call; said is that one's side of offer and answer.
func (c *call) pickedUp(by *call, said sdp.Leg) {
	if err := c.relay(); err != nil {
		c.log.Warn("not picked up", "error", err)
		by.post("nobody to take", by.giveUpSearch)
		return
	}
	c.heir = by
	c.callee = c.void(byCallee)
	c.callee.neg = said
	c.noteTransfer(Transfer{By: byCallee, Kind: "picked-up"})
	c.step(callAnswer, nil, nil)
}

// acceptPickedUp sends the caller its 200.
func (c *call) acceptPickedUp() {
	c.again.stop()
	c.ringing = nil
	c.noteAnswer("")
	c.caller.afterPracks(func() {
		if err := c.answerCaller(); err != nil {
			c.fail(badSession(byCaller, err))
			return
		}
		c.caller.step(legAccept)
	})
}

// giveCaller sends the caller, now that its ACK is there, to who picked up.
func (c *call) giveCaller() {
	t := &transfer{by: c.callee, kept: c.caller, report: &referral{leg: c.callee, silent: true}, replaced: true}
	c.transfer = t
	c.handOver(t, arrival{to: c.heir, into: byCallee})
}

// disinherit tells who picked up of the call's end; whoever has the caller by then passes it over.
func (c *call) disinherit() {
	if heir := c.heir; heir != nil {
		c.heir = nil
		heir.post("nobody to take", heir.giveUpSearch)
	}
}
