package stir

import (
	"crypto/ecdsa"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/bridge/identity/watched"
)

// signed is the signature of a text as a JWS has it.
func signed(text string, key *ecdsa.PrivateKey) (string, error) {
	signature, err := jwt.SigningMethodES256.Sign(text, key)
	return base64.RawURLEncoding.EncodeToString(signature), err
}

// Another key takes effect without a restart; one that cannot be read does not.
func TestKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t, order{})
	if _, f := s.verifier().Verify(t.Context(), usual(s.sign())); f != nil {
		t.Fatal(f)
	}
	ahead := time.Duration(0)
	s.signer.now = func() time.Time { return time.Now().Add(ahead) }
	later := func() { ahead += watched.LookEvery }
	s.renew(order{})
	s.check(os.Chtimes(s.dir+"/leaf.key", time.Time{}, time.Now().Add(time.Minute)))
	later()
	if _, f := s.verifier().Verify(t.Context(), usual(s.sign())); f != nil {
		t.Errorf("with the new key: %v", f)
	}
	s.check(os.WriteFile(s.dir+"/leaf.key", []byte("nonsense"), 0o600))
	later()
	if _, f := s.verifier().Verify(t.Context(), usual(s.sign())); f != nil {
		t.Errorf("with a broken file: %v", f)
	}
	if err := CheckKey(s.dir + "/leaf.key"); err == nil {
		t.Error("nonsense is a key")
	}
	if err := CheckKey(s.dir + "/ca.pem"); err == nil {
		t.Error("a certificate is a key")
	}
	if _, err := NewSigner(s.url(), s.dir+"/none.key", nil).Sign(Passport{}); err == nil {
		t.Error("signed without a key")
	}
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+1 (215) 555-1212": "12155551212", "12155551212": "12155551212", "alice": "", "1+2": "", "*67": "*67", "": "", "+": "",
		"1234567890123456": "", "112": "112",
	} {
		if got := Digits(number); got != want {
			t.Errorf("%q: %q, not %q", number, got, want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	want := Header{Token: "a.b.c", Info: "https://x.example/c.pem", Alg: "ES256", PPT: "shaken"}
	for _, good := range []string{
		`a.b.c;info=<https://x.example/c.pem>;alg=ES256;ppt="shaken"`, `a.b.c;info=<https://x.example/c.pem>;alg=ES256;ppt=shaken`,
		` a.b.c ; INFO = <https://x.example/c.pem> ; Alg=ES256 ; ppt = shaken; more; x="y;z"`,
	} {
		if got, err := ParseHeader(good); err != nil || got != want {
			t.Errorf("%q: %+v, %v", good, got, err)
		}
	}
	if again, err := ParseHeader(want.String()); err != nil || again != want {
		t.Errorf("%+v, %v", again, err)
	}
	for _, bad := range []string{
		"", ";", "a.b", "a.b.c", "a.b.c.d;info=<x>", "a..c;info=<x>", "a.b.;info=<x>", "a.b.c;info=<x", `a.b.c;info=<x>;ppt="y`,
		"a.b.c;info=<x>;info=<y>", "a.b.c;info=<x> y", "a.b.c;=x;info=<x>", "a b.c.d;info=<x>", "a.b.c, d.e.f;info=<x>",
		"a.b.c;info=<x>," + strings.Repeat("x", 10), "a.b.c;info=<" + strings.Repeat("x", maxHeader) + ">", "a.b.é;info=<x>",
	} {
		if got, err := ParseHeader(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

// FuzzIdentity: no value of an Identity header stops the parser, and what it took it takes again.
func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{
		`eyJhIjoxfQ.eyJhIjoxfQ.c2ln;info=<https://x.example/c.pem>;alg=ES256;ppt="shaken"`, "..sig;info=<https://x.example/c>", "a.b.c;info=x;ppt=div",
		"eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly94LmV4YW1wbGUvYyJ9.eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMiJdfSwiaWF0IjoxLCJvcmlnIjp7InRuIjoiMTMifSwib3JpZ2lkIjoiIn0.AA;info=<https://x.example/c>",
		`a.b.c;info=<x>;q="\"`, ";;;", "a.b.c;info=<;>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h, err := ParseHeader(value)
		if err != nil {
			return
		}
		if !strings.ContainsAny(h.Info, "<>") && !strings.ContainsAny(h.Alg+h.PPT, "\"; \t<>") {
			if again, err := ParseHeader(h.String()); err != nil || again.Token != h.Token || again.Info != h.Info {
				t.Fatalf("%q became %q: %v", value, h.String(), err)
			}
		}
		tok, err := open(h, Passport{Orig: "1", Dest: []string{"2"}})
		if err == nil {
			_ = tok.claims.passport().names(usual(value))
		}
		Claims(value)
	})
}
