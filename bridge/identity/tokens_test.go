package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyring has a key of each kind, and tokens signed by them.
type keyring struct {
	t      *testing.T
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	secret []byte
}

func newKeyring(t *testing.T) *keyring {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &keyring{t, r, e, []byte("a secret of thirty-two characters")}
}

func (k *keyring) claims() jwt.MapClaims {
	return jwt.MapClaims{"sub": "alice@example.com", "exp": time.Now().Add(time.Hour).Unix(), "iss": "https://login", "aud": "sip"}
}

func (k *keyring) sign(method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	k.t.Helper()
	tok := jwt.NewWithClaims(method, claims)
	if kid != "" {
		tok.Header["kid"] = kid
	}
	text, err := tok.SignedString(key)
	if err != nil {
		k.t.Fatal(err)
	}
	return text
}

// set is a key set with the public keys, by the names "rsa" and "ec".
func (k *keyring) set() []byte {
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": b64(k.rsa.N.Bytes()), "e": b64(big.NewInt(int64(k.rsa.E)).Bytes())},
		{"kty": "EC", "kid": "ec", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
	if err != nil {
		k.t.Fatal(err)
	}
	return text
}

func (k *keyring) pem(keys ...crypto.PublicKey) []byte {
	var text []byte
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			k.t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return text
}

func (k *keyring) file(text []byte) string {
	path := filepath.Join(k.t.TempDir(), "keys")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func open(t *testing.T, cfg TokenConfig) *Tokens {
	t.Helper()
	tokens, err := NewTokens(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

func TestTokensBySource(t *testing.T) {
	k := newKeyring(t)
	var fetched atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Write(k.set())
	}))
	defer service.Close()
	sources := map[string]*Tokens{
		"secret": open(t, TokenConfig{Secret: k.secret}),
		"pem":    open(t, TokenConfig{Keys: k.file(k.pem(&k.rsa.PublicKey, &k.ec.PublicKey))}),
		"file":   open(t, TokenConfig{Keys: k.file(k.set())}),
		"url":    open(t, TokenConfig{JWKS: service.URL}),
	}
	stranger := newKeyring(t)
	tokens := map[string]string{
		"HS256":          k.sign(jwt.SigningMethodHS256, k.secret, "", k.claims()),
		"RS256":          k.sign(jwt.SigningMethodRS256, k.rsa, "rsa", k.claims()),
		"ES256":          k.sign(jwt.SigningMethodES256, k.ec, "ec", k.claims()),
		"RS256 unnamed":  k.sign(jwt.SigningMethodRS256, k.rsa, "", k.claims()),
		"HS512":          k.sign(jwt.SigningMethodHS512, k.secret, "", k.claims()),
		"none":           k.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", k.claims()),
		"stranger":       k.sign(jwt.SigningMethodRS256, stranger.rsa, "rsa", k.claims()),
		"public as HMAC": k.sign(jwt.SigningMethodHS256, k.pem(&k.rsa.PublicKey), "rsa", k.claims()),
		"unknown key":    k.sign(jwt.SigningMethodES256, k.ec, "other", k.claims()),
	}
	good := map[string][]string{
		"secret": {"HS256"},
		"pem":    {"RS256", "ES256", "RS256 unnamed", "unknown key"}, // PEM keys have no names
		"file":   {"RS256", "ES256", "RS256 unnamed"},
		"url":    {"RS256", "ES256", "RS256 unnamed"},
	}
	for source, verifier := range sources {
		for name, token := range tokens {
			s, err := verifier.Verify(context.Background(), token)
			want := false
			for _, g := range good[source] {
				want = want || g == name
			}
			if want && (err != nil || s.Name != "alice@example.com" || !s.Token || time.Until(s.Until) < 59*time.Minute) {
				t.Errorf("%s, %s: %+v, %v", source, name, s, err)
			}
			if !want && !errors.Is(err, ErrWrong) {
				t.Errorf("%s takes %s: %v", source, name, err)
			}
		}
	}
	if !sources["url"].waits() || sources["file"].waits() {
		t.Error("who waits?")
	}
	if n := fetched.Load(); n != 2 {
		t.Errorf("the key set was fetched %d times", n)
	}
}

// A token names a key that is newer than the key set: that is fetched again, and may take its time.
func TestRenewedKeys(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	var fetched atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fetched.Add(1) == 1 {
			fmt.Fprint(w, `{"keys": []}`)
			return
		}
		<-time.After(100 * time.Millisecond) // a key server is not next door
		w.Write(k.set())
	}))
	defer service.Close()
	tokens := open(t, TokenConfig{JWKS: service.URL})
	token := k.sign(jwt.SigningMethodRS256, k.rsa, "rsa", k.claims())
	for range 2 {
		if s, err := tokens.Verify(context.Background(), token); err != nil || s.Name != "alice@example.com" {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if n := fetched.Load(); n != 2 {
		t.Errorf("the key set was fetched %d times", n)
	}
}

func TestTokensByClaims(t *testing.T) {
	k := newKeyring(t)
	tokens := open(t, TokenConfig{Secret: k.secret, Issuer: "https://login", Audience: "sip"})
	for name, change := range map[string]func(jwt.MapClaims){
		"good":             func(jwt.MapClaims) {},
		"several audience": func(c jwt.MapClaims) { c["aud"] = []string{"web", "sip"} },
		"expired":          func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() },
		"without end":      func(c jwt.MapClaims) { delete(c, "exp") },
		"not yet":          func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() },
		"another issuer":   func(c jwt.MapClaims) { c["iss"] = "https://other" },
		"no issuer":        func(c jwt.MapClaims) { delete(c, "iss") },
		"another audience": func(c jwt.MapClaims) { c["aud"] = "web" },
		"nobody":           func(c jwt.MapClaims) { delete(c, "sub") },
		"number":           func(c jwt.MapClaims) { c["sub"] = 7 },
	} {
		claims := k.claims()
		change(claims)
		_, err := tokens.Verify(context.Background(), k.sign(jwt.SigningMethodHS256, k.secret, "", claims))
		if want := name == "good" || name == "several audience"; want != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysThatCannotBeRead(t *testing.T) {
	k := newKeyring(t)
	for text, want := range map[string]string{
		"":                                   "neither a key set nor a public key",
		`{"keys": 7}`:                        "no key set",
		"-----BEGIN X-----\n-----END X-----": "no RSA or EC public key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})): "no RSA or EC public key",
	} {
		if _, err := NewTokens(TokenConfig{Keys: k.file([]byte(text))}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewTokens(TokenConfig{}); err == nil {
		t.Error("no key, and no error")
	}
}
