package wsstest

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// answerChallenge puts credentials into the request, makes it the next one (branch, CSeq + 1), and says whether it is to be
// sent again. tried: it carried credentials already; then only a stale nonce is reason enough.
func (b *Browser) answerChallenge(req *sip.Request, res *sip.Response, tried bool) (again bool) {
	challenge, credentials := "WWW-Authenticate", "Authorization"
	switch res.StatusCode {
	case sip.StatusUnauthorized:
	case sip.StatusProxyAuthRequired:
		challenge, credentials = "Proxy-Authenticate", "Proxy-Authorization"
	default:
		return false
	}
	headers := res.GetHeaders(challenge)
	if len(headers) == 0 {
		b.fault("%d without %s", res.StatusCode, challenge)
		return false
	}
	if len(headers) > 1 {
		b.fault("%d with %d challenges: JsSIP takes the first", res.StatusCode, len(headers))
	}
	b.mu.Lock()
	user, _, _ := strings.Cut(b.user, "@")
	password := b.password
	b.mu.Unlock()
	if password == "" { // JsSIP does not look at it then
		return false
	}
	chal, err := digest.ParseChallenge(headers[0].Value())
	if err != nil {
		b.fault("a challenge that cannot be parsed: %v", err)
		return false
	}
	if tried && !chal.Stale {
		return false
	}
	value, err := credentialsFor(chal, req, user, password)
	if err != nil {
		b.fault("%v", err)
		return false
	}
	req.RemoveHeader(credentials)
	req.AppendHeader(sip.NewHeader(credentials, value))
	next(req, b.Via())
	return true
}

// credentialsFor computes what JsSIP would: MD5 or nothing, auth-int where it is offered.
func credentialsFor(chal *digest.Challenge, req *sip.Request, user, password string) (string, error) {
	if chal.Algorithm != "" && !strings.EqualFold(chal.Algorithm, "MD5") {
		return "", fmt.Errorf("algorithm %q in a challenge: JsSIP and SIP.js know MD5 only", chal.Algorithm)
	}
	for _, qop := range chal.QOP {
		if strings.EqualFold(strings.TrimSpace(qop), "auth-int") {
			chal.QOP = []string{"auth-int"}
		}
	}
	cred, err := digest.Digest(chal, digest.Options{
		Method: string(req.Method), URI: req.Recipient.String(), Count: 1, Username: user, Password: password,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body())), nil },
	})
	if err != nil {
		return "", fmt.Errorf("a challenge that cannot be answered: %w", err)
	}
	return cred.String(), nil
}

// next makes a request the next of its dialog or registration: new branch, CSeq + 1.
func next(req *sip.Request, via *sip.ViaHeader) {
	req.ReplaceHeader(via)
	cseq := *req.CSeq()
	cseq.SeqNo++
	req.ReplaceHeader(&cseq)
}
