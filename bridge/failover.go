package bridge

import (
	"errors"
	"slices"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/bridge/sdp"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// tryTimeout is a member that said nothing but 100. Where a better one is left it is left to itself (CANCEL where that is
// allowed, ACK and BYE should it still answer), and the next one is tried. Else it has all the time there is, for it may be a
// slow one: 64·T1 to say anything (RFC 3261 §17.1.1.2, timer B), after a 100 the ring limit.
func (br *branch) tryTimeout() {
	silent := br.leg.state == legCalling
	if !br.worthLeaving(silent) {
		br.leg.log.Info("no answer within try-timeout: nobody better is left")
		if silent {
			br.target.backend.Suspect()
		}
		return
	}
	br.leg.log.Warn("no answer within try-timeout")
	br.target.backend.Suspect()
	br.leg.bye = reasonValue(408, "try-timeout")
	br.leg.step(legEnd)
	br.ended(unreachable("nothing but 100 from "+br.target.backend.Name()), true)
}

// worthLeaving says whether a member is to be given up for one that is left: for a living one; if it is dead and silent
// itself, for any.
func (br *branch) worthLeaving(silent bool) bool {
	lost := silent && !br.target.backend.Alive()
	for _, s := range br.call.stages {
		if slices.ContainsFunc(s, func(t target) bool { return t.backend == nil || lost || t.backend.Alive() }) {
			return true
		}
	}
	return false
}

// overQuota is a branch that was not let out: another member or trunk may have room.
func (br *branch) overQuota(over *overQuota) {
	br.leg.log.Warn("call not sent", "reason", over.why)
	if over.whole {
		pool := poolOf(br.leg.backend)
		br.call.stages = slices.DeleteFunc(br.call.stages, func(s stage) bool { return poolOf(s[0].backendName()) == pool })
	}
	br.leg.step(legHeardFinal)
	br.ended(full(over), true)
}

// tollRefused is a branch that may not cost what it might: nobody else is tried.
func (br *branch) tollRefused(no *TollRefusal) {
	br.leg.step(legHeardFinal)
	br.ended(tollStopped(no.Status, no.Why), false)
}

// moves says whether a refusal leads to where else the route has it tried; see elsewhere.
func (br *branch) moves(status int) bool {
	if br.over {
		return false
	}
	left, ok := br.call.bridge.elsewhere(status, br.target, br.call.stages)
	if ok {
		br.call.stages = left
	}
	return ok
}

// elsewhere leaves of the stages those at other pools and trunks, or by other rules, where a refusal says that this pool or trunk
// cannot: the rest of its members are not asked then. False where there are none, or it is no such refusal.
func (b *Bridge) elsewhere(status int, from target, stages []stage) ([]stage, bool) {
	if status < 500 || status > 599 || from.backend == nil || b.worthTrying(from.backendName(), status) {
		return stages, false
	}
	pool := poolOf(from.backendName())
	left := slices.DeleteFunc(slices.Clone(stages), func(s stage) bool {
		return poolOf(s[0].backendName()) == pool && s[0].change == from.change
	})
	return left, len(left) > 0
}

// nextServer says whether a refusal is that of one server of several which a backend has: after 503 the next has its turn (RFC 3263 §4.3).
func nextServer(of *sipside.Backend, status int) bool {
	return status == 503 && of != nil && of.Another()
}

// again has the same backend tried once more, at its next server.
func (br *branch) again(status int) {
	if !br.over && nextServer(br.target.backend, status) {
		br.call.stages = append([]stage{{br.target}}, br.call.stages...)
	}
}

// ended is a branch from which the caller will hear nothing more; other says that another member may do better.
func (br *branch) ended(why Termination, other bool) {
	c := br.call
	if br.over { // given up before: its end concerns nobody but the call's own end
		c.settle()
		return
	}
	br.over = true
	br.leg.closeMedia()
	c.prefer(br, why)
	c.refused = c.refused || !other
	switch {
	case c.running() && why.Status >= 600: // it speaks for all (RFC 3261 §16.7 step 5)
		c.endBranches(br, reasonValue(why.Status, why.Phrase))
		c.because(*c.best)
		c.step(callExhausted, br, nil)
	case c.running():
		c.step(callRefused, br, nil)
	case other && len(c.stages) > 0 && !c.refused:
		c.failOver(br, why)
	default:
		c.because(*c.best)
		c.step(callExhausted, br, nil)
	}
	c.settle()
}

// failOver goes to the next member, unless the caller heard that it rings, at one that lives.
func (c *call) failOver(br *branch, why Termination) {
	next := callNext
	if br.lost {
		next = callLost
	}
	if callTable[c.state][next].do&actTryNext == 0 {
		c.because(*c.best)
		c.step(next, br, nil)
		return
	}
	c.log.Warn("failover", "backend", br.leg.backend, "reason", why.Header)
	c.bridge.counters.failedOver()
	if br.target.credentials && br.target.issuer != nil {
		c.forgetCredentials()
	}
	c.best = nil
	c.step(next, br, nil)
}

// forgetCredentials lets the remaining members challenge the caller anew: its nonce is of a member that failed.
func (c *call) forgetCredentials() {
	for _, s := range c.stages {
		for i := range s {
			s[i].credentials, s[i].issuer, s[i].stale = false, nil, true
		}
	}
}

// running says whether a branch may still answer.
func (c *call) running() bool {
	for _, br := range c.branches {
		if !br.over {
			return true
		}
	}
	return false
}

// prefer keeps the refusal that is to be shown should nobody answer.
func (c *call) prefer(br *branch, why Termination) {
	if c.best == nil || better(refusal{status: why.Status}, refusal{status: c.best.Status}) {
		c.best = &why
		c.record.Backend = br.leg.backend
	}
}

// refused makes of a backend's or browser's refusal what the caller is to see.
func (br *branch) refused(res *sip.Response) Termination {
	c := br.call
	if res.StatusCode == 401 || res.StatusCode == 407 {
		return c.challenge(br, res)
	}
	r := refusalOf(res, c.caller.browser())
	r.headers = c.cross(c.caller, res.Headers())
	v := c.caller.veil()
	if res.StatusCode < 400 && !c.caller.browser() && br.leg.peering().PassRedirects {
		r.status, r.phrase = res.StatusCode, res.Reason
		for _, h := range res.GetHeaders("Contact") {
			r.headers = append(r.headers, sip.NewHeader("Contact", v.Addressed(h.Value())))
		}
	}
	return refusedBy(r)
}

// challenge passes a challenge on to a browser, and notes who issued its nonce and on which leg the answer must come.
func (c *call) challenge(br *branch, res *sip.Response) Termination {
	if c.in.identity != "" && br.target.backend != nil {
		br.leg.log.Error("the backend does not trust this gateway; register: vouch needs that, or username and password of its pool")
	}
	own := br.target.backend != nil && c.bridge.peering(br.leg.backend).Own
	if own {
		br.leg.log.Error("the trunk does not take the gateway's credentials: see its username and password")
	}
	if own || c.in.identity != "" || !c.caller.browser() || br.target.backend == nil { // a backend has no credentials for another's realm
		return Termination{Reason: "refused", By: byCallee, Status: 403, Header: reasonValue(res.StatusCode, "the callee's side asks for credentials")}
	}
	d := br.leg.dialog
	issuer := identity.Issuer{Backend: br.leg.backend, CallID: d.CallID, FromTag: d.LocalTag, CSeq: d.LocalSeq}
	headers, err := challengeOf(c.bridge.with.Nonces, res, issuer)
	if err != nil {
		c.log.Error("challenge that no browser can answer; register: vouch would", "backend", br.leg.backend, "error", err)
		return unusableChallenge(err.Error())
	}
	if !br.target.stale {
		c.in.judgedBehind(res)
	} else {
		headers = identity.Stale(headers)
	}
	return challenged(refusal{status: res.StatusCode, headers: headers})
}

// failure is the reason of a branch that ended by an error, and whether another member may do better.
func (c *call) failure(err error) (why Termination, other bool) {
	switch {
	case errors.Is(err, errNoMedia):
		return noResources(err), false
	case errors.Is(err, sdp.ErrNotAcceptable), errors.Is(err, sdp.ErrMalformed), errors.Is(err, sdp.ErrNoState):
		return badSession(byGateway, err), false
	case errors.Is(err, transaction.ErrFlowLost):
		return noFlow(byCallee), true
	case errors.Is(err, transaction.ErrTimeout):
		return unreachable("no answer in time"), true
	}
	return unreachable(silence(err)), true
}
