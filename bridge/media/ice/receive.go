package ice

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/stun/v4"
)

// Verdict is what became of a message.
type Verdict uint8

const (
	Good       Verdict = iota
	Malformed          // no STUN message, or not one of ICE
	Ufrag              // for somebody else
	Integrity          // not signed with the password
	Role               // both sides claimed one role; it is being settled
	Unexpected         // an answer to nothing, or from elsewhere
	Refused            // the peer refused a check of ours
)

// Receive takes a STUN message that came to a component's socket.
func (a *Agent) Receive(component int, from netip.AddrPort, message []byte, now int64) Verdict {
	m := stun.New()
	if stun.Decode(message, m) != nil || m.Type.Method != stun.MethodBinding || stun.Fingerprint.Check(m) != nil {
		return Malformed // RFC 8445 §7.1.4: FINGERPRINT is always there
	}
	verdict := Good
	switch m.Type.Class {
	case stun.ClassRequest:
		verdict = a.asked(component, from, m, now)
	case stun.ClassIndication: // keeps a NAT open
	default:
		verdict = a.response(component, from, m, now)
	}
	a.Advance(now)
	return verdict
}

// asked answers a Binding request (RFC 8445 §7.3).
func (a *Agent) asked(component int, from netip.AddrPort, m *stun.Message, now int64) Verdict {
	user, err := m.Get(stun.AttrUsername)
	if err != nil || !m.Contains(stun.AttrMessageIntegrity) {
		a.respond(component, from, m, "", stun.CodeBadRequest)
		return Malformed
	}
	local, remote, _ := strings.Cut(string(user), ":")
	password := ""
	switch local {
	case a.local.Ufrag:
		password = a.local.Password
	case a.previous.Ufrag:
		password = a.previous.Password
	}
	if password == "" {
		a.respond(component, from, m, "", stun.CodeUnauthorized)
		return Ufrag
	}
	if stun.NewShortTermIntegrity(password).Check(m) != nil {
		a.respond(component, from, m, "", stun.CodeUnauthorized)
		return Integrity
	}
	if unknown := notUnderstood(m); len(unknown) > 0 {
		a.respond(component, from, m, password, stun.CodeUnknownAttribute, stun.UnknownAttributes(unknown))
		return Malformed
	}
	if a.conflicts(m) {
		a.respond(component, from, m, password, stun.CodeRoleConflict)
		return Role
	}
	a.respond(component, from, m, password, 0)
	if local == a.local.Ufrag {
		a.previous = Credentials{}
	}
	e := early{component: component, from: from, ufrag: remote, nominates: m.Contains(stun.AttrUseCandidate), priority: peerPreferred}
	if v, err := m.Get(stun.AttrPriority); err == nil && len(v) == 4 {
		e.priority = binary.BigEndian.Uint32(v)
	}
	switch {
	case a.generation != nil && a.generation.remote.Ufrag == remote:
		a.heard(e, now)
	case len(a.early) < maxEarly: // its description may be on its way
		a.early = append(a.early, e)
	}
	return Good
}

// notUnderstood are the attributes of the comprehension-required range that an ICE agent does not know.
func notUnderstood(m *stun.Message) []stun.AttrType {
	const integritySHA256 stun.AttrType = 0x001C // RFC 8489 §14.6
	known := []stun.AttrType{stun.AttrUsername, stun.AttrMessageIntegrity, stun.AttrPriority, stun.AttrUseCandidate, integritySHA256}
	var unknown []stun.AttrType
	for _, at := range m.Attributes {
		if at.Type.Required() && !slices.Contains(known, at.Type) {
			unknown = append(unknown, at.Type)
		}
	}
	return unknown
}

// conflicts settles a claim to our role: the larger tie-breaker controls. True where the peer is the one to give way
// (RFC 8445 §7.3.1.1).
func (a *Agent) conflicts(m *stun.Message) bool {
	claim := stun.AttrICEControlled
	if a.controlling {
		claim = stun.AttrICEControlling
	}
	v, err := m.Get(claim)
	if err != nil || len(v) != 8 || a.generation == nil {
		return false
	}
	larger := a.tie >= binary.BigEndian.Uint64(v)
	if a.controlling == larger {
		return true
	}
	a.take(!a.controlling)
	return false
}

// respond answers a request; code 0 is success. It is signed where the request's password is known (RFC 8489 §9.1.4).
func (a *Agent) respond(component int, to netip.AddrPort, request *stun.Message, password string, code stun.ErrorCode, more ...stun.Setter) {
	m := stun.New()
	m.TransactionID = request.TransactionID
	m.Type = stun.BindingSuccess
	setters := []stun.Setter{&stun.XORMappedAddress{IP: to.Addr().AsSlice(), Port: int(to.Port())}}
	if code != 0 {
		m.Type, setters = stun.BindingError, append([]stun.Setter{code}, more...)
	}
	m.WriteHeader()
	if password != "" {
		setters = append(setters, stun.NewShortTermIntegrity(password))
	}
	for _, s := range append(setters, stun.Fingerprint) {
		if s.AddTo(m) != nil {
			return
		}
	}
	a.cfg.Send(component, to, m.Raw)
}

// heard takes a good check of the peer's: its pair is checked in turn, or taken where it works and is nominated
// (RFC 8445 §7.3.1.3 to §7.3.1.5).
func (a *Agent) heard(e early, now int64) {
	if e.component > a.generation.components {
		return
	}
	p := a.pairOf(e.component, e.from)
	if p == nil {
		p = a.add(e.component, e.from, e.priority) // peer-reflexive
	}
	p.heard = true
	nominated := e.nominates && !a.controlling
	c := &a.components[e.component-1]
	settled := c.selected != nil && c.selected.generation == a.generation
	switch {
	case p.state == succeeded && nominated:
		a.choose(p, now)
	case p.state == succeeded:
	case settled && !nominated:
	case p.state == inProgress:
		p.wanted = p.wanted || nominated
	default:
		p.wanted = p.wanted || nominated
		a.trigger(p)
	}
}
