package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Subject is who somebody proved to be. Plain value.
type Subject struct {
	Name  string    // "alice" at any domain that the routes let in, or "alice@example.com", without "sip:"
	Until time.Time // when the proof ends; zero: not by itself
	Token bool      // proved by a signed token, or by a certificate: good for all that comes over the connection

	claims *claims // nil: none are kept
}

// Claim gives the values of a claim that TokenConfig.Claims names; none where the proof is no token, or has no such claim.
func (s Subject) Claim(path string) []string {
	if s.claims == nil {
		return nil
	}
	return s.claims.values[path]
}

// Attempt is a request that has to prove whose it is.
type Attempt struct {
	Method        string
	Domain        string   // of the address of record: the realm where none is configured
	AOR           string   // for the callback and the log
	Flow          string   // the connection: a nonce is good on the one that it was given to
	Remote        string   // its address
	Authorization []string // the values of Authorization and Proxy-Authorization
}

// What an Attempt may fail for; Verdict.Err wraps one of them.
var (
	ErrNoCredentials = errors.New("identity: no credentials")
	ErrStale         = errors.New("identity: the nonce is too old or used already")
	ErrWrong         = errors.New("identity: the credentials are wrong")
	ErrUnavailable   = errors.New("identity: whoever knows the users does not answer")
)

// Verdict is what a Gate says of an Attempt: a Subject, or Err and the challenges to answer it with, one for each algorithm of the Gate,
// the strongest first (RFC 8760 §2.3).
type Verdict struct {
	Subject    Subject
	Err        error
	Challenges []string // values for WWW-Authenticate or Proxy-Authenticate, a header each; none with ErrUnavailable
}

// Secrets knows the users' secrets. Safe for concurrent use.
type Secrets interface {
	// HA1 gives the hex hash of user:realm:password (RFC 7616 §3.4.2) by the login's algorithm. A user that is not known has ErrWrong;
	// ErrUnavailable is that nobody could say. Where allowed is true the asked one has checked the credentials itself.
	HA1(ctx context.Context, l Login) (ha1 string, allowed bool, err error)
}

// Login is what digest credentials say of themselves (RFC 7616 §3.4); it is the body of a callback.
type Login struct {
	User     string `json:"user"`
	Realm    string `json:"realm"`
	AOR      string `json:"aor"`
	Method   string `json:"method"`
	Remote   string `json:"remote"`
	URI      string `json:"uri"`
	Nonce    string `json:"nonce"`
	NC       string `json:"nc,omitempty"`
	CNonce   string `json:"cnonce,omitempty"`
	QOP      string `json:"qop,omitempty"`
	Response string `json:"response"`

	Algorithm Algorithm `json:"-"` // one of the Gate's: callbacks and password files are asked for MD5 alone
}

// GateConfig is what a Gate works with. Without Secrets it takes no digest, without Tokens no token.
type GateConfig struct {
	Realm   string // "": the domain of the address of record
	Secrets Secrets
	Waits   bool // Secrets may take its time: HA1 asks over the network
	// Algorithms are offered the strongest first; default MD5 alone, for browsers' libraries know no other and read the first challenge
	// alone.
	Algorithms []Algorithm
	Tokens     *Tokens
	Key        []byte        // keys the nonces
	Age        time.Duration // of a nonce; default 5 min
	Now        func() time.Time
	Log        *slog.Logger
}

// Gate judges who a request comes from. Safe for concurrent use.
type Gate struct {
	cfg    GateConfig // static after construction
	digest *digestCheck
}

// NewGate makes a Gate.
func NewGate(cfg GateConfig) *Gate {
	if cfg.Age == 0 {
		cfg.Age = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []Algorithm{MD5}
	}
	cfg.Algorithms = slices.SortedFunc(slices.Values(cfg.Algorithms), func(a, b Algorithm) int { return b.strength() - a.strength() })
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Gate{cfg: cfg, digest: newDigestCheck(cfg)}
}

// Waits says whether judging the attempt may ask over the network: then Judge must not run where nothing may block.
func (g *Gate) Waits(a Attempt) bool {
	for _, c := range credentialsOf(a) {
		if strings.EqualFold(c.scheme, "Bearer") && g.cfg.Tokens != nil && g.cfg.Tokens.waits() {
			return true
		}
		if strings.EqualFold(c.scheme, "Digest") && g.cfg.Waits {
			return true
		}
	}
	return false
}

// Judge looks at an attempt's credentials. An unknown user and a wrong password have the same verdict after the same work.
func (g *Gate) Judge(ctx context.Context, a Attempt) Verdict {
	for _, c := range credentialsOf(a) {
		switch {
		case strings.EqualFold(c.scheme, "Bearer") && g.cfg.Tokens != nil:
			s, err := g.cfg.Tokens.Verify(ctx, c.value(tokenParam))
			return g.verdict(a, s, err, true)
		case strings.EqualFold(c.scheme, "Digest") && g.cfg.Secrets != nil:
			s, err := g.digest.check(ctx, a, c)
			return g.verdict(a, s, err, false)
		}
	}
	return g.verdict(a, Subject{}, ErrNoCredentials, false)
}

func (g *Gate) verdict(a Attempt, s Subject, err error, byToken bool) Verdict {
	if err == nil {
		return Verdict{Subject: s}
	}
	v := Verdict{Err: err}
	if errors.Is(err, ErrUnavailable) {
		return v
	}
	realm := g.cfg.realm(a)
	switch {
	case byToken: // RFC 8898 §4, RFC 6750 §3
		v.Challenges = []string{"Bearer realm=" + quoted(realm) + `, error="invalid_token"`}
	case g.cfg.Secrets != nil:
		v.Challenges = g.digest.challenges(a, errors.Is(err, ErrStale))
	default:
		v.Challenges = []string{"Bearer realm=" + quoted(realm)}
	}
	return v
}

func (cfg GateConfig) realm(a Attempt) string {
	if cfg.Realm != "" {
		return cfg.Realm
	}
	return strings.ToLower(a.Domain)
}

// Token judges a token alone, as one comes with a WebSocket's upgrade. The error wraps ErrWrong or ErrUnavailable.
func (g *Gate) Token(ctx context.Context, token string) (Subject, error) {
	if g.cfg.Tokens == nil {
		return Subject{}, fmt.Errorf("%w: this gateway takes no tokens", ErrWrong)
	}
	return g.cfg.Tokens.Verify(ctx, token)
}

// tokenParam is the name under which a Bearer's token stands among a challenge's parameters.
const tokenParam = " token"

// credentialsOf parses the header values; what has no form is left out.
func credentialsOf(a Attempt) []challenge {
	var all []challenge
	for _, value := range a.Authorization {
		if token, ok := bearer(value); ok {
			all = append(all, challenge{scheme: "Bearer", params: []param{{tokenParam, token}}, raw: value})
			continue
		}
		all = append(all, parse(value)...)
	}
	return all
}

// bearer gives the token of RFC 6750 §2.1.
func bearer(value string) (string, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	return strings.TrimSpace(rest), strings.EqualFold(scheme, "Bearer")
}

// quoted is a quoted-string (RFC 3261 §25.1).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ").Replace(s) + `"`
}
