package turn

import (
	"github.com/pion/stun/v4"
)

// refuse counts why the request in hand is refused, and keeps the code for it.
func (c *client) refuse(why string, code stun.ErrorCode) {
	c.server.count.refuse(why)
	c.refusal = code
}

// exhausted is the code for a quota: a user's own, or the server's (RFC 8656 §19).
func exhausted(why string) stun.ErrorCode {
	if why == RefusedTotal {
		return stun.CodeInsufficientCapacity
	}
	return stun.CodeAllocQuotaReached
}

// protocolUDP is the only one to peers (RFC 8656 §18.7).
const protocolUDP = 17

// unfit says by which code an authentic request is refused that pion would answer otherwise: one about an allocation that is not there,
// or another user's (RFC 8656 §5), would get no answer, and its client wait in vain; relays to peers by TCP (RFC 6062) pion takes for
// offered. 0: it is fit.
func (c *client) unfit(method stun.Method, user string) (code stun.ErrorCode, why string) {
	switch method {
	case stun.MethodAllocate:
		transport, err := c.message.Get(stun.AttrRequestedTransport)
		if err == nil && len(transport) == 4 && transport[0] != protocolUDP && c.relays.of(c.from) == nil {
			return stun.CodeUnsupportedTransProto, RefusedSocket
		}
	case stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind:
		r := c.relays.of(c.from)
		switch {
		case r == nil:
			return stun.CodeAllocMismatch, RefusedMismatch
		case r.user != user:
			return stun.CodeWrongCredentials, RefusedMismatch
		}
	}
	return 0, ""
}

// correct gives an error of pion's the code that was found for it (pion says 400 for wrong credentials, 401 for a peer that is not open),
// with what a client needs to try again, and signs what answers an authentic request (RFC 8489 §9.2.4).
func (c *client) correct(b []byte) ([]byte, error) {
	var m stun.Message
	var code stun.ErrorCodeAttribute
	if stun.Decode(b, &m) != nil || code.GetFrom(&m) != nil || c.refusal == 0 && (c.key == nil || m.Contains(stun.AttrMessageIntegrity)) {
		return b, nil
	}
	if c.refusal != 0 {
		code.Code = c.refusal
	}
	setters := []stun.Setter{stun.NewTransactionIDSetter(m.TransactionID), m.Type, code.Code}
	if code.Code == stun.CodeUnauthorized {
		var nonce stun.Nonce
		if err := nonce.GetFrom(&c.message); err != nil {
			return nil, err
		}
		setters = append(setters, nonce, stun.NewRealm(c.server.cfg.Realm)) // pion has found the nonce good just now
	}
	if unknown, err := m.Get(stun.AttrUnknownAttributes); err == nil {
		setters = append(setters, stun.RawAttribute{Type: stun.AttrUnknownAttributes, Value: unknown})
	}
	if c.key != nil {
		setters = append(setters, stun.MessageIntegrity(c.key))
	}
	corrected, err := stun.Build(setters...)
	if err != nil {
		return nil, err
	}
	return corrected.Raw, nil
}
