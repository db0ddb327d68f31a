package stir

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/bridge/identity/crl"
	"tandem/bridge/identity/watched"
)

// Bounds of the Identity headers of a request: those that are read, and those whose certificates are asked for.
const (
	maxIdentities = 32
	maxTried      = 4
)

// Config says what is verified, and how certificates are had.
type Config struct {
	CA     string        // PEM file: the trust anchors; read again when it changes
	CRL    string        // PEM or DER file: the certificates that are revoked; read again when it changes; "": none
	MaxAge time.Duration // of iat and Date, in either direction; default 60 s
	Fetch  FetchConfig
}

// Verifier verifies Identity headers. Safe for concurrent use.
type Verifier struct {
	// static after construction
	cfg  Config
	ca   *watched.File[*x509.CertPool]
	crl  *watched.File[*crl.List] // nil: none
	now  func() time.Time
	from *certificates

	seen replays
}

// NewVerifier keeps the certificates that it fetches in memory.
func NewVerifier(cfg Config, log *slog.Logger) *Verifier { return newVerifier(cfg, log, time.Now) }

func newVerifier(cfg Config, log *slog.Logger, now func() time.Time) *Verifier {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = time.Minute
	}
	cfg.Fetch = cfg.Fetch.withDefaults()
	v := &Verifier{cfg: cfg, ca: watched.New(cfg.CA, watched.ReadPool, log), now: now, from: newCertificates(cfg.Fetch, now, log)}
	if cfg.CRL != "" {
		v.crl = watched.New(cfg.CRL, crl.Parse, log)
	}
	return v
}

// Like says whether another verifier has the same configuration; then a reload keeps this one, which knows certificates already.
func (v *Verifier) Like(other *Verifier) bool { return reflect.DeepEqual(v.cfg, other.cfg) }

// Request is what a request says of itself.
type Request struct {
	Identities []string // the values of its Identity headers
	Date       string   // of its Date header; "": it has none
	Callers    []string // digits: the number that it asserts, that of From
	Callee     string   // digits: of To
	CallID     string
}

// Verified is a PASSporT that holds.
type Verified struct {
	Number string // digits: whose it is
	Attest string // Full, Partial, Gateway; "" where the signer says nothing of it (RFC 8225 without RFC 8588)
	OrigID string
}

// Verify looks for a PASSporT that proves who calls (RFC 8224 §6.2): of several one that holds is enough. It waits for
// certificates as long as FetchConfig.Timeout says, or ctx. Those of other types (div, RFC 8946) are not looked at.
func (v *Verifier) Verify(ctx context.Context, r Request) (Verified, *Fault) {
	if !slices.ContainsFunc(r.Callers, func(n string) bool { return n != "" }) {
		return Verified{}, fault(NoNumber, "the caller has no number")
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Fetch.Timeout)
	defer cancel()
	var first *Fault
	tried := 0
	for _, value := range r.Identities[:min(len(r.Identities), maxIdentities)] {
		h, err := ParseHeader(value)
		if err == nil && h.PPT != "" && !strings.EqualFold(h.PPT, shaken) {
			continue
		}
		if tried++; tried > maxTried {
			break
		}
		var out Verified
		var f *Fault
		if err != nil {
			f = fault(Malformed, err.Error())
		} else if out, f = v.verify(ctx, h, r); f == nil {
			return out, nil
		}
		if first == nil {
			first = f
		}
	}
	if first == nil {
		first = fault(Missing, "no Identity header says who calls")
	}
	return Verified{}, first
}

// verify checks what costs least first, so that nobody's certificate is fetched for what is wrong in any case.
func (v *Verifier) verify(ctx context.Context, h Header, r Request) (Verified, *Fault) {
	now := v.now()
	date, err := http.ParseTime(r.Date)
	if r.Date != "" && (err != nil || v.old(date, now)) || r.Date == "" && h.Compact() {
		return Verified{}, fault(Stale, "the Date is missing or too far from now")
	}
	if h.Compact() && h.PPT != "" {
		return Verified{}, fault(Malformed, "SHAKEN has no compact form")
	}
	if h.Alg != "" && h.Alg != "ES256" {
		return Verified{}, fault(Unsupported, "the algorithm is not ES256")
	}
	t, f := v.signer(h, r, date)
	if f != nil {
		return Verified{}, f
	}
	p := t.claims.passport()
	if v.old(p.IssuedAt, now) {
		return Verified{}, fault(Stale, "the PASSporT's iat is too far from now")
	}
	if f := p.names(r); f != nil {
		return Verified{}, f
	}
	chain, f := v.from.get(ctx, t.header.X5U)
	if f != nil {
		return Verified{}, f
	}
	if f := v.trusts(chain, p.Orig, now); f != nil {
		return Verified{}, f
	}
	if jwt.SigningMethodES256.Verify(t.signed, t.signature, chain[0].PublicKey) != nil {
		return Verified{}, fault(Signature, "the signature of the PASSporT is wrong")
	}
	if v.seen.again(t, r.CallID, now, 2*v.cfg.MaxAge) {
		return Verified{}, fault(Replayed, "the PASSporT was for another call")
	}
	return Verified{Number: p.Orig, Attest: p.Attest, OrigID: p.OrigID}, nil
}

// old says whether a time is too far from now; clocks differ both ways.
func (v *Verifier) old(at, now time.Time) bool { return now.Sub(at).Abs() > v.cfg.MaxAge }

// signer opens the PASSporT of a header, and checks what says who signed it and how.
func (v *Verifier) signer(h Header, r Request, date time.Time) (token, *Fault) {
	known := Passport{Dest: []string{r.Callee}, IssuedAt: date}
	for _, n := range r.Callers {
		if known.Orig == "" {
			known.Orig = n
		}
	}
	t, err := open(h, known)
	switch {
	case err != nil:
		return t, fault(Malformed, "the PASSporT cannot be read: "+err.Error())
	case t.header.Alg != "ES256":
		return t, fault(Unsupported, "the algorithm is not ES256")
	case len(t.header.Crit) > 0 || !strings.EqualFold(t.header.Typ, "passport"),
		t.header.PPT != h.PPT && h.PPT != "", t.header.PPT != "" && t.header.PPT != shaken:
		return t, fault(Malformed, "the PASSporT is not of the type that its header says")
	case t.header.X5U != h.Info:
		return t, fault(Malformed, "info and x5u differ")
	case t.header.PPT == shaken && (!attests(t.claims.Attest) || !isUUID.MatchString(t.claims.OrigID)):
		return t, fault(Malformed, "the PASSporT has no attest or origid")
	case t.header.PPT == "":
		t.claims.Attest, t.claims.OrigID = "", "" // they are SHAKEN's
	}
	return t, nil
}

func attests(level string) bool { return level == Full || level == Partial || level == Gateway }

// isUUID is what may stand in a header.
var isUUID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// names says whether the numbers are those of the request (RFC 8224 §8.1, §8.2).
func (p Passport) names(r Request) *Fault {
	switch {
	case p.Orig == "" || !slices.Contains(r.Callers, p.Orig):
		return fault(Mismatch, "the PASSporT is another caller's")
	case r.Callee == "" || len(p.Dest) > maxNumbers || !slices.Contains(p.Dest, r.Callee):
		return fault(Mismatch, "the PASSporT is for another number")
	}
	return nil
}

// trusts checks a certificate against the trust anchors, and that it may speak for a number (RFC 8226).
func (v *Verifier) trusts(chain []*x509.Certificate, number string, now time.Time) *Fault {
	leaf := chain[0]
	if key, is := leaf.PublicKey.(*ecdsa.PublicKey); !is || key.Curve != elliptic.P256() {
		return fault(Unsupported, "the certificate's key is not one of P-256")
	}
	roots, err := v.ca.Get(now)
	if err != nil {
		return fault(Untrusted, "the trust anchors cannot be read")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	checked := *leaf
	checked.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), oidTNAuthList.Equal)
	chains, err := checked.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fault(Untrusted, "the certificate is not trusted")
	}
	if v.crl != nil {
		if list, err := v.crl.Get(now); err != nil {
			return fault(Revoked, "the list of revoked certificates cannot be read")
		} else if list.Check(chains) != nil {
			return fault(Revoked, "the certificate is revoked")
		}
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fault(Untrusted, "the certificate is not one for signatures")
	}
	may, err := authorityOf(leaf)
	switch {
	case err != nil:
		return fault(Authority, err.Error())
	case !may.covers(number):
		return fault(Authority, "the certificate is not for the caller's number")
	}
	return nil
}
