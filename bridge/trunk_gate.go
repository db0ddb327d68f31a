package bridge

import (
	"context"
	"errors"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
)

// challenged judges a backend's request outside a dialog where the configuration wants digest of that trunk, beside its address
// (RFC 3261 §22.2). True: it was answered with a challenge. ACK and CANCEL cannot be challenged, and OPTIONS is for anybody.
func (b *Bridge) challenged(in inbound) bool {
	if in.backend == nil || in.req.Method == sip.ACK || in.req.Method == sip.OPTIONS {
		return false
	}
	gate := b.peering(in.backend.Name()).Gate
	if gate == nil {
		return false
	}
	attempt := identity.Attempt{
		Method: string(in.req.Method), Domain: in.req.Recipient.Host, Flow: in.backend.Name(), Remote: in.req.Source(),
	}
	for _, h := range in.req.GetHeaders("Authorization") {
		attempt.Authorization = append(attempt.Authorization, h.Value())
	}
	v := gate.Judge(context.Background(), attempt)
	if v.Err == nil {
		return false
	}
	if !errors.Is(v.Err, identity.ErrNoCredentials) && !errors.Is(v.Err, identity.ErrStale) {
		b.log.Warn("credentials refused", "backend", in.backend.Name(), "remote", attempt.Remote, "method", in.req.Method, "error", v.Err)
	}
	b.respond(in.tx, reply{status: 401, headers: challengesOf("WWW-Authenticate", v)})
	return true
}

// challengesOf are a verdict's, a header each (RFC 3261 §7.3.1: they do not stand in one list).
func challengesOf(name string, v identity.Verdict) (all []sip.Header) {
	for _, value := range v.Challenges {
		all = append(all, sip.NewHeader(name, value))
	}
	return all
}
