package bridge

import (
	"errors"
	"sync"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// Digest passes through: the challenge of a backend to the browser, the browser's credentials to the backend that challenged.

// challengeOf gives the headers of a backend's 401 or 407 that may pass to a browser, and remembers who issued the nonce. Its
// error is identity.ErrNoUsableChallenge.
func challengeOf(nonces *identity.Nonces, res *sip.Response, by identity.Issuer) ([]sip.Header, error) {
	headers, nonce, err := identity.ForBrowser(res)
	if err != nil {
		return nil, err
	}
	nonces.Put(nonce, by)
	return headers, nil
}

// credentials gives clones of the headers that answer a challenge, byte for byte: digest covers what they say.
func credentials(hs []sip.Header) []sip.Header {
	return pick(hs, func(lower string) bool { return lower == "authorization" || lower == "proxy-authorization" })
}

// errNoCredentials is a pool for which the gateway has no credentials of its own.
var errNoCredentials = errors.New("no credentials for this backend")

// ownCredentials answer a backend's challenge with what its pool's configuration says, for requests that the gateway vouches for.
func (b *Bridge) ownCredentials(to *sipside.Backend, res *sip.Response, method, uri string, body []byte) (sip.Header, error) {
	a := b.accounts.of(to.Name(), b.peering(to.Name()))
	if a == nil {
		return nil, errNoCredentials
	}
	return a.Answer(res, method, uri, body)
}

// ahead are the gateway's credentials for a request to a backend that asked for some before, so that it need not ask again; nil where
// there are none, or its challenges are not for the gateway.
func (b *Bridge) ahead(to peer, user string, out transaction.Outbound) sip.Header {
	backend, ok := to.(*sipside.Backend)
	if !ok || !b.ownAnswer(backend.Name(), user) {
		return nil
	}
	return b.accounts.of(backend.Name(), b.peering(backend.Name())).Ahead(string(out.Method), out.RequestURI, out.Body())
}

// accounts are the gateway's own at each backend.
type accounts struct {
	mu sync.Mutex
	by map[string]*identity.Account // guarded by mu
}

// of is the account by which a peering says that the gateway is known to a backend; nil for none.
func (s *accounts) of(backend string, p *Peering) *identity.Account {
	if p.Username == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.by[backend]
	if a == nil || !a.Is(p.Username, p.Password) {
		a = identity.NewAccount(p.Username, p.Password)
		s.by[backend] = a
	}
	return a
}

// ownAnswer says whether a backend's challenges are for the gateway: a trunk's with credentials always, a pool's where the gateway
// vouches for the user.
func (b *Bridge) ownAnswer(backend, identity string) bool {
	p := b.peering(backend)
	return p.Own || identity != "" && p.Username != ""
}

func asksCredentials(res *sip.Response) bool {
	return res != nil && (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired)
}

// answered sends a branch's INVITE again with the gateway's own credentials where a backend asks the gateway for them: on the same
// leg, once, and once more where the nonce was stale.
func (br *branch) answered(res *sip.Response) bool {
	c, l := br.call, br.leg
	calling := l.state == legCalling || l.state == legProceeding
	if !asksCredentials(res) || br.target.backend == nil || br.over || !calling || !c.bridge.ownAnswer(l.backend, c.in.identity) {
		return false
	}
	if br.answers > 0 && (br.answers > 1 || !sipside.StaleNonce(res)) {
		return false
	}
	br.answers++
	sent := br.offered.Repeat()
	var err error
	if br.answer, err = c.bridge.ownCredentials(br.target.backend, res, string(sip.INVITE), l.dialog.Target, sent); err != nil {
		return false
	}
	l.step(legAgain)
	br.early = map[string]*earlyDialog{}
	if err := br.sendInvite(sent); err != nil {
		c.post("INVITE failure", func() { br.failed(err) })
	}
	return true
}

// again sends a request within a dialog once more where a backend asks the gateway for its credentials: with the next CSeq, and
// twice where the nonce was stale. It says whether it did; the caller is the call.
func (l *leg) again(out transaction.Outbound, res *sip.Response, asked int, on func(transaction.Event)) bool {
	b := l.call.bridge
	backend, ok := l.peer.(*sipside.Backend)
	if !ok || !asksCredentials(res) || !b.ownAnswer(l.backend, l.call.in.identity) || asked > 0 && (asked > 1 || !sipside.StaleNonce(res)) {
		return false
	}
	h, err := b.ownCredentials(backend, res, string(out.Method), l.dialog.Target, out.Body())
	if err != nil {
		return false
	}
	out.Request = out.Request.Clone()
	for _, name := range []string{"Via", "Authorization", "Proxy-Authorization"} {
		out.RemoveHeader(name)
	}
	l.dialog.LocalSeq++
	out.CSeq().SeqNo = l.dialog.LocalSeq
	if out.Method == sip.INVITE {
		l.dialog.InviteSeq = l.dialog.LocalSeq
	}
	out.AppendHeader(h)
	l.exchange(out, asked+1, on)
	return true
}
