package wsstest

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// TestCredentials are JsSIP's choices: MD5 or nothing, auth-int where it is offered.
func TestCredentials(t *testing.T) {
	req := sip.NewRequest(sip.REGISTER, sip.Uri{Scheme: "sip", Host: "example.com"})
	for _, tc := range []struct{ challenge, has, err string }{
		{`Digest realm="r", nonce="n"`, `uri="sip:example.com"`, ""},
		{`Digest realm="r", nonce="n", algorithm=MD5, qop="auth"`, "qop=auth", ""},
		{`Digest realm="r", nonce="n", qop="auth,auth-int"`, "qop=auth-int", ""},
		{`Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"`, "", "MD5 only"},
	} {
		chal, err := digest.ParseChallenge(tc.challenge)
		if err != nil {
			t.Fatal(err)
		}
		got, err := credentialsFor(chal, req, "alice", "secret")
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v", tc.challenge, err)
			}
			continue
		}
		if err != nil || !strings.Contains(got, tc.has) {
			t.Errorf("%s: %s %v", tc.challenge, got, err)
		}
	}
}
