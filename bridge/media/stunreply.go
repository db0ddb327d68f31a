package media

import (
	"errors"
	"slices"

	"github.com/pion/stun/v4"
)

// judgement is what becomes of a check: reason none means that it is good; a refusal is the error response's code.
type judgement struct {
	reason  DropReason
	refusal stun.ErrorCode
	unknown []stun.AttrType
}

// judge verifies a Binding request (RFC 8445 §7.3, RFC 8489 §9.1.3). The check's message is m, decoded anew.
func (l *Leg) judge(d *datagram, m *stun.Message) (check, judgement) {
	c := check{message: m}
	if err := stun.Decode(d.data, c.message); err != nil {
		return c, judgement{reason: DropSTUNMalformed}
	}
	if err := stun.Fingerprint.Check(c.message); err != nil { // RFC 8445 §7.1.4: always there
		return c, judgement{reason: DropSTUNMalformed}
	}
	user, err := c.message.Get(stun.AttrUsername)
	if err != nil || !c.message.Contains(stun.AttrMessageIntegrity) {
		return c, judgement{reason: DropSTUNMalformed, refusal: stun.CodeBadRequest}
	}
	local, remote, _ := cutColon(user)
	c.local, c.remote = string(local), string(remote)
	switch c.local {
	case l.ice.current.Ufrag:
		c.password = l.ice.current.Password
	case l.ice.previous.Ufrag:
		c.password = l.ice.previous.Password
	}
	if c.password == "" {
		return c, judgement{reason: DropSTUNUfrag, refusal: stun.CodeUnauthorized}
	}
	if err := stun.NewShortTermIntegrity(c.password).Check(c.message); err != nil {
		c.password = ""
		return c, judgement{reason: DropSTUNIntegrity, refusal: stun.CodeUnauthorized}
	}
	if unknown := notUnderstood(c.message); len(unknown) > 0 {
		return c, judgement{reason: DropSTUNMalformed, refusal: stun.CodeUnknownAttribute, unknown: unknown}
	}
	if c.message.Contains(stun.AttrICEControlled) { // ICE-lite: the peer has to control (RFC 8445 §6.1.1)
		return c, judgement{reason: DropSTUNRole, refusal: stun.CodeRoleConflict}
	}
	c.nominates = c.message.Contains(stun.AttrUseCandidate)
	return c, judgement{}
}

// notUnderstood are the attributes of the comprehension-required range that an ICE agent does not know.
func notUnderstood(m *stun.Message) []stun.AttrType {
	known := []stun.AttrType{stun.AttrUsername, stun.AttrMessageIntegrity, stun.AttrPriority, stun.AttrUseCandidate,
		attrIntegritySHA256}
	var unknown []stun.AttrType
	for _, a := range m.Attributes {
		if a.Type.Required() && !slices.Contains(known, a.Type) {
			unknown = append(unknown, a.Type)
		}
	}
	return unknown
}

const attrIntegritySHA256 stun.AttrType = 0x001C // RFC 8489 §14.6

// accept answers with the address that the peer has from here.
func (w *worker) accept(d *datagram, c check) {
	at := d.from.addrPort()
	w.respond(d, c, stun.BindingSuccess, &stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())})
}

func (w *worker) refuse(d *datagram, c check, j judgement) {
	setters := []stun.Setter{j.refusal}
	if len(j.unknown) > 0 {
		setters = append(setters, stun.UnknownAttributes(j.unknown))
	}
	w.respond(d, c, stun.BindingError, setters...)
}

// respond sends a response, signed where the request's password is known (RFC 8489 §9.1.4).
func (w *worker) respond(d *datagram, c check, kind stun.MessageType, setters ...stun.Setter) {
	m := stun.New()
	m.TransactionID = c.message.TransactionID
	m.Type = kind
	m.WriteHeader()
	var errs error
	for _, s := range setters {
		errs = errors.Join(errs, s.AddTo(m))
	}
	if c.password != "" {
		errs = errors.Join(errs, stun.NewShortTermIntegrity(c.password).AddTo(m))
	}
	if errs = errors.Join(errs, stun.Fingerprint.AddTo(m)); errs != nil {
		w.drop(nil, DropSTUNMalformed)
		return
	}
	if d.tcp != nil {
		w.sendTCP(d.tcp, nil, m.Raw)
		return
	}
	if d.detour != nil {
		w.toClient(d.detour, nil, m.Raw)
		return
	}
	w.queue(w.browsers[d.listen], nil, endpointOf(*d.from, d.to), m.Raw)
}
