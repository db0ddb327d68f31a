package ice

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v4"
)

// request writes a Binding request (RFC 8445 §7.2.2).
func (a *Agent) request(p *pair, nominates bool) (id [stun.TransactionIDSize]byte, raw []byte) {
	rand.Read(id[:])
	m := stun.New()
	m.TransactionID = id
	m.Type = stun.BindingRequest
	m.WriteHeader()
	m.Add(stun.AttrUsername, []byte(p.generation.remote.Ufrag+":"+p.generation.local.Ufrag))
	m.Add(stun.AttrPriority, binary.BigEndian.AppendUint32(nil, uint32(peerPreferred|256-p.component)))
	role := stun.AttrICEControlled
	if a.controlling {
		role = stun.AttrICEControlling
	}
	m.Add(role, binary.BigEndian.AppendUint64(nil, a.tie))
	if nominates {
		m.Add(stun.AttrUseCandidate, nil)
	}
	_ = stun.NewShortTermIntegrity(p.generation.remote.Password).AddTo(m) // fails only behind a FINGERPRINT
	_ = stun.Fingerprint.AddTo(m)
	return id, m.Raw
}

// check begins a pair's check.
func (a *Agent) check(p *pair, now int64) {
	p.nominates = a.controlling && p.wanted
	p.id, p.message = a.request(p, p.nominates)
	p.state, p.tries, p.again = inProgress, 1, now+firstTimeout
	a.cfg.Send(p.component, p.to, p.message)
}

// repeat sends a check again, or gives the pair up.
func (a *Agent) repeat(p *pair, now int64) {
	if p.tries == mostTries {
		a.giveUp(p)
		return
	}
	p.again = now + firstTimeout<<p.tries
	p.tries++
	a.cfg.Send(p.component, p.to, p.message)
}

func (a *Agent) giveUp(p *pair) {
	p.state, p.message, p.proven, p.wanted, p.nominates = failed, nil, false, false, false
	c := &a.components[p.component-1]
	works := false
	for _, o := range a.pairs {
		works = works || o.component == p.component && o.state == succeeded
	}
	if !works {
		c.worked = 0
	}
}

// response takes an answer to a check of ours. Only an answer from where the check went, signed with the peer's password, counts
// (RFC 8445 §7.2.5.2.1).
func (a *Agent) response(component int, from netip.AddrPort, m *stun.Message, now int64) Verdict {
	for i := range a.components {
		c := &a.components[i]
		if s := c.selected; s != nil && i+1 == component && c.consent.sent(m.TransactionID) {
			return c.answered(m, from, now)
		}
	}
	var p *pair
	for _, o := range a.pairs {
		if o.state == inProgress && o.id == m.TransactionID {
			p = o
		}
	}
	if p == nil {
		return Unexpected
	}
	if stun.NewShortTermIntegrity(p.generation.remote.Password).Check(m) != nil {
		return Integrity
	}
	if p.to != from || p.component != component {
		a.giveUp(p)
		return Unexpected
	}
	if m.Type.Class == stun.ClassErrorResponse {
		return a.refused(p, m)
	}
	a.works(p, now)
	return Good
}

// refused takes an error response. A role conflict is settled by taking the other role (RFC 8445 §7.2.5.1).
func (a *Agent) refused(p *pair, m *stun.Message) Verdict {
	var code stun.ErrorCodeAttribute
	if code.GetFrom(m) != nil || code.Code != stun.CodeRoleConflict {
		a.giveUp(p)
		return Refused
	}
	sent := &stun.Message{Raw: p.message}
	if sent.Decode() == nil {
		a.take(!sent.Contains(stun.AttrICEControlling))
	}
	p.nominates = false
	a.trigger(p)
	return Role
}

// works takes in that a pair's check was answered.
func (a *Agent) works(p *pair, now int64) {
	p.state, p.proven, p.message = succeeded, true, nil
	c := &a.components[p.component-1]
	if c.worked == 0 {
		c.worked = now
	}
	if p.wanted && (p.nominates || !a.controlling) {
		a.choose(p, now)
	}
}
