package bridge

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/sipside"
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
func (b *Bridge) ownCredentials(to *sipside.Backend, res *sip.Response, method, uri string) (sip.Header, error) {
	p := b.peering(to.Name())
	if p.Username == "" {
		return nil, errNoCredentials
	}
	return identity.Answer(res, p.Username, p.Password, method, uri)
}

// answered sends a branch's INVITE again with the gateway's own credentials where a backend asks for them in a call that the
// gateway vouches for: once, on the same leg.
func (br *branch) answered(res *sip.Response) bool {
	c, l := br.call, br.leg
	asks := res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
	calling := l.state == legCalling || l.state == legProceeding
	if !asks || c.in.identity == "" || br.target.backend == nil || br.answer != nil || br.over || !calling {
		return false
	}
	var err error
	if br.answer, err = c.bridge.ownCredentials(br.target.backend, res, string(sip.INVITE), l.dialog.Target); err != nil {
		return false
	}
	l.step(legAgain)
	br.early = map[string]*earlyDialog{}
	if err := br.sendInvite(br.offered.Repeat()); err != nil {
		c.post("INVITE failure", func() { br.failed(err) })
	}
	return true
}
