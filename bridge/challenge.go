package bridge

import (
	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
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
