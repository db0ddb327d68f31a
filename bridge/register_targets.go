package bridge

import (
	"fmt"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/sipside"
)

// registrarAt is a member that a REGISTER may go to, and what the rule says that names it.
type registrarAt struct {
	*sipside.Backend
	change *route.Change
	tenant string
}

func (m registrarAt) alive() bool { return m.Alive() }

// registrars are the members that a REGISTER is sent to in turn: those of its route's targets, and with fallback those of the next rules
// that match, the dead behind all. With here, a rule behind them says that the gateway itself is the registrar, and the dead are not
// asked: there may be no members then. Rules that want another to know the user than the first one does are the end, as is one that
// rejects.
func (r *registrar) registrars(in inbound, aor string, first route.Decision) (members []registrarAt, here *route.Decision, no reply) {
	living, dead, pools := r.membersOf(aor, first)
	for q, more := first.Next(); more; {
		d := r.b.with.Router.Route(q)
		if d.Reject == 0 && d.Register == route.Local {
			return living, &d, reply{}
		}
		if d.Reject != 0 || vouched(in, d) != (in.identity != "") {
			break
		}
		up, down, n := r.membersOf(aor, d)
		living, dead, pools = append(living, up...), append(dead, down...), pools+n
		q, more = d.Next()
	}
	if members = append(living, dead...); len(members) > 0 {
		return members, nil, reply{}
	}
	if pools == 0 {
		return nil, nil, reply{status: 501, why: fmt.Sprintf("%q is no pool or trunk that could be a registrar", first.To)}
	}
	return nil, nil, reply{status: 504, why: fmt.Sprintf("%q has no members", first.To)}
}

// membersOf are those of one rule's targets, of which so many can have any.
func (r *registrar) membersOf(aor string, d route.Decision) (living, dead []registrarAt, pools int) {
	for _, t := range d.Targets {
		pool := r.b.with.Backends.Pool(t.Name)
		if pool == nil {
			continue
		}
		pools++
		for _, m := range pool.Home(aor) {
			if at := (registrarAt{m, d.Change, d.Tenant}); m.Alive() {
				living = append(living, at)
			} else {
				dead = append(dead, at)
			}
		}
	}
	return living, dead, pools
}

// credentials says where the browser's go: to the member that issued their nonce, which is asked first; where that is gone or unknown, the
// client is to be challenged anew by whoever comes first.
func (x *exchange) credentials() {
	if x.in.identity != "" {
		x.bare = true
		return
	}
	nonce := identity.NonceOf(x.tx.Request())
	if nonce == "" {
		return
	}
	issuer, known := x.r.b.with.Nonces.Get(nonce)
	if !known {
		x.stale = true // the member may still know it: it is asked with the credentials
		return
	}
	anyAlive := x.members[0].Alive()
	for i, m := range x.members {
		if m.Name() == issuer.Backend && (m.Alive() || !anyAlive) {
			first := []registrarAt{m}
			x.members = append(append(first, x.members[:i]...), x.members[i+1:]...)
			return
		}
	}
	x.bare, x.stale = true, true
}

// carryOnHere registers at the gateway itself who could not be registered behind: once it knows who that is.
func (r *registrar) carryOnHere(in inbound, wish registration, d route.Decision) {
	if in.identity != "" || !vouched(in, d) {
		r.local(in, wish, d.Tenant)
		return
	}
	r.identify(in, wish.aor, func(who identity.Subject) {
		in.identity = wish.aor
		wish.shorten(who.Until, r.now())
		r.local(in, wish, d.Tenant)
	})
}
