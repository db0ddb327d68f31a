package identity

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Answer gives the header that answers the strongest challenge of a 401 or 407 that can be answered: SHA-512-256, SHA-256, MD5
// (RFC 8760 §2.3), with qop auth, auth-int (of
// which body is the message body) or none. uri is the Request-URI byte for byte. ErrNoUsableChallenge where there is none.
func Answer(res *sip.Response, username, password, method, uri string, body []byte) (sip.Header, error) {
	asks, answers := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		asks, answers = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best *digest.Challenge
	for _, h := range res.GetHeaders(asks) {
		for _, c := range parse(h.Value()) {
			ch, err := digest.ParseChallenge(c.raw)
			if err != nil {
				continue
			}
			ch.QOP = qopList(strings.Join(ch.QOP, ","))
			if strength(ch) > strength(best) {
				best = ch
			}
		}
	}
	if best == nil {
		return nil, ErrNoUsableChallenge
	}
	cred, err := digest.Digest(best, digest.Options{
		Method: method, URI: uri, Count: 1, Username: username, Password: password,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return sip.NewHeader(answers, cred.String()), nil
}

// strength orders challenges; 0 is one that cannot be answered.
func strength(c *digest.Challenge) int {
	if c == nil || c.Nonce == "" || len(c.QOP) > 0 && !c.SupportsQOP("auth") && !c.SupportsQOP("auth-int") {
		return 0
	}
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5":
		return 1
	case "SHA-256":
		return 2
	case "SHA-512-256":
		return 3
	}
	return 0
}
