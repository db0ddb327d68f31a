package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// TokenConfig says which signed tokens are good (RFC 7519): those signed by any of the keys. HS256 goes by Secret or a key set's
// "oct" keys, RS256 and ES256 by public keys; a key never serves for another algorithm.
type TokenConfig struct {
	Secret   []byte
	Keys     string   // file: a key set (RFC 7517), or public keys in PEM
	JWKS     string   // URL of a key set; fetched again each hour, and when a token names a key that is not known
	Issuer   string   // "": iss is not looked at
	Audience string   // "": aud is not looked at
	Claims   []string // that a Subject keeps, by path: see claimsOf
	Now      func() time.Time
	Log      *slog.Logger
}

// Tokens verifies signed tokens. Safe for concurrent use.
type Tokens struct {
	parser  *jwt.Parser
	claims  []string              // paths of those that are kept
	fixed   []jwt.VerificationKey // Secret and PEM keys
	sets    []keyfunc.Keyfunc
	fetches bool
	stop    context.CancelFunc
}

// refetch bounds how often a token with an unknown key makes the key set be fetched: anybody can send one. Who comes less than
// fetchTimeout too early waits, one at a time; all others are refused at once.
const (
	refetch      = 10 * time.Second
	fetchTimeout = 5 * time.Second
)

// maxToken bounds a token, in bytes, before anything of it is decoded; those of large directories have some three thousand.
const maxToken = 12 << 10

// NewTokens reads the keys. A key set whose URL does not answer is no error: it is asked again.
func NewTokens(cfg TokenConfig) (*Tokens, error) {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"HS256", "RS256", "ES256"}), jwt.WithExpirationRequired(),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	if cfg.Now != nil {
		options = append(options, jwt.WithTimeFunc(cfg.Now))
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &Tokens{parser: jwt.NewParser(options...), claims: cfg.Claims, stop: stop}
	if len(cfg.Secret) > 0 {
		t.fixed = append(t.fixed, cfg.Secret)
	}
	if err := t.readKeys(cfg.Keys); err != nil {
		stop()
		return nil, err
	}
	if err := t.fetchKeys(ctx, cfg); err != nil {
		stop()
		return nil, err
	}
	if len(t.fixed) == 0 && len(t.sets) == 0 {
		stop()
		return nil, errors.New("identity: no key to verify tokens with")
	}
	return t, nil
}

func (t *Tokens) fetchKeys(ctx context.Context, cfg TokenConfig) error {
	if cfg.JWKS == "" {
		return nil
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	set, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{cfg.JWKS}, keyfunc.Override{
		Client:            &http.Client{Transport: bounded{http.DefaultTransport, maxKeySet}},
		HTTPTimeout:       fetchTimeout,
		RateLimitWaitMax:  fetchTimeout, // of the fetch, too, not of the wait before it alone
		RefreshUnknownKID: rate.NewLimiter(rate.Every(refetch), 1),
		RefreshErrorHandlerFunc: func(url string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				log.Error("the key set for tokens is not fetched", "url", url, "error", err)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("identity: key set: %w", err)
	}
	t.sets = append(t.sets, set)
	t.fetches = true
	return nil
}

// readKeys reads a key set, or PEM blocks.
func (t *Tokens) readKeys(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		set, err := keyfunc.NewJWKSetJSON(json.RawMessage(trimmed))
		if err != nil {
			return fmt.Errorf("%s is no key set (RFC 7517): %w", file, err)
		}
		t.sets = append(t.sets, set)
		return nil
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := publicKey(pem.EncodeToMemory(block))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		t.fixed = append(t.fixed, key)
	}
	if len(t.fixed) == 0 {
		return fmt.Errorf("%s holds neither a key set nor a public key in PEM", file)
	}
	return nil
}

func publicKey(text []byte) (crypto.PublicKey, error) {
	if key, err := jwt.ParseRSAPublicKeyFromPEM(text); err == nil {
		return key, nil
	}
	key, err := jwt.ParseECPublicKeyFromPEM(text)
	if err != nil {
		return nil, errors.New("a PEM block that is no RSA or EC public key")
	}
	return key, nil
}

// Close ends the fetching of keys.
func (t *Tokens) Close() { t.stop() }

func (t *Tokens) waits() bool { return t.fetches }

// Verify checks a token's signature, exp, nbf, and iss and aud where they are configured, and gives its sub. The error wraps
// ErrWrong.
func (t *Tokens) Verify(ctx context.Context, token string) (Subject, error) {
	if len(token) > maxToken {
		return Subject{}, fmt.Errorf("%w: a token of %d bytes", ErrWrong, len(token))
	}
	claims := jwt.MapClaims{}
	parsed, err := t.parser.ParseWithClaims(token, claims, func(tok *jwt.Token) (any, error) { return t.keysFor(ctx, tok) })
	if err != nil || !parsed.Valid {
		return Subject{}, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	name, err := claims.GetSubject()
	if err != nil || name == "" {
		return Subject{}, fmt.Errorf("%w: the token has no sub", ErrWrong)
	}
	until, err := claims.GetExpirationTime()
	if err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	return Subject{Name: subjectName(name), Until: until.Time, Token: true, claims: claimsOf(claims, t.claims)}, nil
}

// keysFor gives the keys that may have signed a token, those that fit its algorithm alone.
func (t *Tokens) keysFor(ctx context.Context, tok *jwt.Token) (any, error) {
	var keys jwt.VerificationKeySet
	for _, k := range t.fixed {
		if fits(k, tok.Method.Alg()) {
			keys.Keys = append(keys.Keys, k)
		}
	}
	for _, set := range t.sets {
		found, err := set.KeyfuncCtx(ctx)(tok)
		if _, named := tok.Header["kid"]; !named { // a set of one key needs no name
			found, err = set.VerificationKeySet(ctx)
		}
		if err != nil {
			continue
		}
		all, many := found.(jwt.VerificationKeySet)
		if !many {
			all.Keys = []jwt.VerificationKey{found}
		}
		for _, k := range all.Keys {
			if fits(k, tok.Method.Alg()) {
				keys.Keys = append(keys.Keys, k)
			}
		}
	}
	if len(keys.Keys) == 0 {
		return nil, errors.New("no key fits the token's kid and alg")
	}
	return keys, nil
}

// fits says whether a key is of an algorithm's kind.
func fits(key any, algorithm string) bool {
	switch key.(type) {
	case []byte:
		return algorithm == "HS256"
	case *rsa.PublicKey:
		return algorithm == "RS256"
	case *ecdsa.PublicKey:
		return algorithm == "ES256"
	}
	return false
}
