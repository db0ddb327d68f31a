package bridge

import (
	"github.com/emiago/sipgo/sip"
)

// Who is told which identity on the network's word (RFC 3325). A browser's own word counts for nothing; what a backend asserts is
// believed where the backend is trusted, and told to whoever is trusted; to others only where the caller did not ask for privacy.

// cross gives the headers of the far leg that go to this one.
func (c *call) cross(to *leg, headers []sip.Header) []sip.Header {
	from := c.caller
	if to == c.caller {
		from = c.newest()
	}
	if from == nil || from.browser() || from.peering().Untrusted || !to.mayKnow(headers) || !to.browser() && to.peering().rulesIdentity() {
		return to.veil().Headers(crossing(headers))
	}
	all := crossingFromTrusted(headers)
	if from.peering().STIR.Verify != nil {
		all = withoutVerstat(all)
	}
	return to.veil().Headers(all)
}

// newest is the callee, or the leg of the branch that was tried last.
func (c *call) newest() *leg {
	if c.callee == nil && len(c.branches) > 0 {
		return c.branches[len(c.branches)-1].leg
	}
	return c.callee
}

// mayKnow says whether the leg's peer may hear whom a message asserts (RFC 3325 §9.3: Privacy: id).
func (l *leg) mayKnow(headers []sip.Header) bool {
	return !wantsPrivacy(headers) || !l.browser() && !l.peering().Untrusted
}

// asserted is whom a branch's INVITE names on our word.
func (br *branch) asserted() []sip.Header {
	if br.target.backend != nil && br.leg.peering().rulesIdentity() {
		return br.call.bridge.assertedTo(br.call.in, br.target)
	}
	return br.call.asserted(br.leg)
}

// asserted is the browser's user on our word, for a backend: who proved it to us, or whom the registrar let in on its connection.
func (c *call) asserted(to *leg) []sip.Header {
	if to.browser() || !c.caller.browser() || !to.mayKnow(c.in.req.Headers()) {
		return nil
	}
	user := c.in.identity
	if user == "" {
		user = c.caller.registeredUser()
	}
	if user == "" {
		return nil
	}
	return []sip.Header{sip.NewHeader("P-Asserted-Identity", "<"+user+">")}
}

func (l *leg) registeredUser() string { return l.call.bridge.registeredAs(l.flow, l.aor) }

// registeredAs is the address of record in whose name a browser calls, where it is registered on the browser's connection; for
// another From, such as an anonymous one, the connection's only one.
func (b *Bridge) registeredAs(flow, aor string) string {
	bindings := b.with.Store.ByFlow(flow)
	for _, binding := range bindings {
		if binding.AOR == aor {
			return aor
		}
	}
	if len(bindings) == 1 {
		return bindings[0].AOR
	}
	return ""
}
