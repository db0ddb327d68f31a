package bridge

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/sipside"
)

// Quota caps the calls with one pool or trunk, both ways together. The zero value caps nothing.
type Quota struct {
	admission.Cap
	Status    int      // of a refusal: 503 with Retry-After (also 0), 480 or 486
	Emergency []string // numbers that no cap of anything holds back, as the routes see them
}

// overQuota is a call that is refused.
type overQuota struct {
	status int
	why    string
	whole  bool // it is the pool or trunk that is full: its other members are, too
}

// headers are those of the refusal: when to come again.
func (o *overQuota) headers() []sip.Header {
	if o.status != 503 {
		return nil
	}
	return []sip.Header{retryAfter()}
}

func (o *overQuota) reply() reply { return reply{status: o.status, why: o.why, headers: o.headers()} }

// counting is where a leg counts, until it is gone.
type counting struct {
	pool, member *admission.Quota // nil: nowhere
	caller       admission.Caller // who made the call; of a caller's leg
	pass         *admission.Pass  // for the limits of callers; nil: it has none
	toll         *Toll            // of a leg that may cost
	meter        Meter            // hears of it; nil: nobody does
}

// quotaOf is that of a backend's pool or trunk; nil for browsers.
func (b *Bridge) quotaOf(backend string) *admission.Quota {
	if backend == "" {
		return nil
	}
	return b.peers.Load().quotas[poolOf(backend)]
}

// memberQuota is that of a member of a pool, by what the member says now; nil where that never capped anything.
func (b *Bridge) memberQuota(m *sipside.Backend) *admission.Quota {
	said := admission.Cap{}
	said.Calls, said.Rate = m.Cap()
	known, ok := b.members.Load(m.Name())
	if !ok {
		if said == (admission.Cap{}) {
			return nil
		}
		known, _ = b.members.LoadOrStore(m.Name(), admission.NewQuota(said))
	}
	q := known.(*admission.Quota)
	q.Set(said)
	return q
}

// isFull says whether a call to a target would be refused now: it is passed over as if it were down.
func (b *Bridge) isFull(t target) bool {
	if t.backend == nil {
		return false
	}
	pool, member := b.quotaOf(t.backend.Name()), b.memberQuota(t.backend)
	return pool != nil && pool.Spent() || member != nil && member.Spent()
}

// takeQuota counts a leg as a call with its backend's pool or trunk, and with the member. again is the answer to a challenge.
func (l *leg) takeQuota(number string, again bool) *overQuota {
	b := l.call.bridge
	m, ok := l.peer.(*sipside.Backend)
	if !ok {
		return nil
	}
	if b.control.IsEmergency(number) {
		l.keepQuota()
		return nil
	}
	status := admission.StatusOf(l.peering().Quota.Status)
	if pool := b.quotaOf(l.backend); pool != nil {
		if _, why := pool.Take(again); why != "" {
			return &overQuota{status: status, why: why, whole: true}
		}
		l.counts.pool = pool
	}
	if member := b.memberQuota(m); member != nil {
		if _, why := member.Take(again); why != "" {
			l.releaseQuota()
			return &overQuota{status: status, why: why}
		}
		l.counts.member = member
	}
	return nil
}

// keepQuota counts a leg that was let in elsewhere.
func (l *leg) keepQuota() {
	b := l.call.bridge
	if l.counts.pool = b.quotaOf(l.backend); l.counts.pool != nil {
		l.counts.pool.Keep()
	}
	if m, ok := l.peer.(*sipside.Backend); ok {
		if l.counts.member = b.memberQuota(m); l.counts.member != nil {
			l.counts.member.Keep()
		}
	}
}

func (l *leg) releaseQuota() {
	for _, q := range []*admission.Quota{l.counts.pool, l.counts.member} {
		if q != nil {
			q.Release()
		}
	}
	if l.counts.pass != nil {
		l.call.bridge.control.Release(l.counts.pass)
	}
	if l.counts.meter != nil {
		l.counts.meter.Ended()
	}
	l.counts = counting{caller: l.counts.caller}
}

// admit lets a call in by all limits of who makes it, or says why not; stages are where it would go.
func (c *call) admit(in inbound, stages []stage) *overQuota {
	l, number := c.caller, dialledUser(in.req.Recipient)
	l.counts.caller = c.bridge.callerOf(in)
	c.user = l.counts.caller.User
	pass, no := c.bridge.control.Admit(l.counts.caller, admission.Call{Number: number, Again: stages[0][0].answersChallenge(), Direct: c.direct})
	if no != nil {
		c.log.Warn("call refused", "limit", no.Limit, "user", l.counts.caller.User, "source", l.counts.caller.Source)
		return &overQuota{status: no.Status, why: no.Why}
	}
	l.counts.pass = pass
	over := l.takeQuota(number, false)
	if over != nil {
		l.releaseQuota()
	}
	return over
}

// keep counts the caller of a call that comes in whatever the limits.
func (l *leg) keep(by admission.Caller) {
	l.counts.caller, l.counts.pass = by, l.call.bridge.control.Keep(by)
	l.keepQuota()
}

// answersChallenge says whether the caller comes again with the credentials that a member asked for: its call was counted as a new
// one when it came without.
func (t target) answersChallenge() bool { return t.issuer != nil && t.issuer.CallID != "" }

// callerOf is whom the limits count a request as. A user who proved nothing counts by address as well, so that nobody can use up
// what others may do; of a backend's users only those are known that it is trusted to name.
func (b *Bridge) callerOf(in inbound) admission.Caller {
	by := admission.Caller{}
	claim := claimOf(in.req)
	switch {
	case in.browser == nil:
		if at, err := netip.ParseAddrPort(in.req.Source()); err == nil {
			by.Source = at.Addr()
		}
		if from := in.req.From().Address; from.User != "" && !isAnonymous(from) && !b.peering(in.backend.Name()).Untrusted {
			by.User = claim
		}
		return by
	case in.identity != "":
		by.User = in.identity
	case b.registeredAs(in.browser.Flow(), claim) != "":
		by.User = b.registeredAs(in.browser.Flow(), claim)
	default:
		by.User = claim + " at " + in.browser.Remote().Addr().String()
	}
	by.Source = in.browser.Remote().Addr()
	return by
}

// PeerStats are the figures of one pool or trunk.
type PeerStats struct {
	Calls  int               // running
	Capped map[string]uint64 // refused new ones, by the cap: "calls", "rate"
}
