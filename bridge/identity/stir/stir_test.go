package stir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// shop is an authority, a signer with a certificate of it, and the server where that is.
type shop struct {
	t      *testing.T
	dir    string
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	server *httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc] // nil: the certificate
	signer *Signer
	clock  atomic.Int64 // nanoseconds ahead of time.Now
}

// order is what a certificate is to be.
type order struct {
	tn    []byte // DER of its TNAuthList; nil: none
	curve elliptic.Curve
	from  time.Time
	until time.Time
	usage x509.KeyUsage
}

func newShop(t *testing.T, o order) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir()}
	s.caKey = newKey(t, elliptic.P256())
	s.ca = s.certify(&x509.Certificate{
		Subject: pkix.Name{CommonName: "STI-CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, s.caKey, nil, order{})
	s.write("ca.pem", "CERTIFICATE", s.ca.Raw)
	s.renew(o)
	s.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		http.ServeFile(w, r, filepath.Join(s.dir, "leaf.pem"))
	}))
	t.Cleanup(s.server.Close)
	s.write("web.pem", "CERTIFICATE", s.server.Certificate().Raw)
	s.signer = NewSigner(s.url(), filepath.Join(s.dir, "leaf.key"), nil)
	return s
}

// renew makes another key and certificate for the signer.
func (s *shop) renew(o order) {
	s.t.Helper()
	if o.curve == nil {
		o.curve = elliptic.P256()
	}
	key := newKey(s.t, o.curve)
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "SHAKEN 1001"}, KeyUsage: o.usage}
	if o.tn != nil {
		leaf.ExtraExtensions = []pkix.Extension{{Id: oidTNAuthList, Critical: true, Value: o.tn}}
	}
	made := s.certify(leaf, key, s.ca, o)
	s.write("leaf.pem", "CERTIFICATE", made.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	s.check(err)
	s.write("leaf.key", "PRIVATE KEY", der)
}

func (s *shop) certify(c *x509.Certificate, key *ecdsa.PrivateKey, by *x509.Certificate, o order) *x509.Certificate {
	s.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	if !o.until.IsZero() {
		c.NotBefore, c.NotAfter = o.from, o.until
	}
	signer := s.caKey
	if by == nil {
		by = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, signer)
	s.check(err)
	made, err := x509.ParseCertificate(der)
	s.check(err)
	return made
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *shop) write(name, kind string, der []byte) {
	s.t.Helper()
	s.check(os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (s *shop) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) url() string { return s.server.URL + "/cert.pem" }

// host is the server's, which is a private address.
func (s *shop) host() string {
	u, err := url.Parse(s.server.URL)
	s.check(err)
	host, _, err := net.SplitHostPort(u.Host)
	s.check(err)
	return host
}

func (s *shop) now() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }

// verifier trusts the authority and may ask the server.
func (s *shop) verifier(change ...func(*Config)) *Verifier {
	cfg := Config{CA: filepath.Join(s.dir, "ca.pem"), Fetch: FetchConfig{
		Timeout: 30 * time.Second, Private: []string{s.host()}, CA: filepath.Join(s.dir, "web.pem"),
	}}
	for _, c := range change {
		c(&cfg)
	}
	return newVerifier(cfg, nil, s.now)
}

const (
	caller = "12155551212"
	callee = "12355551212"
	origin = "123e4567-e89b-12d3-a456-426655440000"
)

// sign gives an Identity header of the signer's for the usual call.
func (s *shop) sign(change ...func(*Passport)) string {
	s.t.Helper()
	p := Passport{Attest: Full, Orig: caller, Dest: []string{callee}, IssuedAt: s.now(), OrigID: origin}
	for _, c := range change {
		c(&p)
	}
	value, err := s.signer.Sign(p)
	s.check(err)
	return value
}

func usual(identities ...string) Request {
	return Request{Identities: identities, Callers: []string{caller}, Callee: callee}
}

// list is the DER of a TNAuthList of entries, each with its explicit tag.
func list(t *testing.T, entries ...asn1.RawValue) []byte {
	t.Helper()
	der, err := asn1.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func entry(t *testing.T, tag int, value any, params string) asn1.RawValue {
	t.Helper()
	der, err := asn1.MarshalWithParams(value, params)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: der}
}

// numbered is the ASN.1 of a range.
type numbered struct {
	Start string `asn1:"ia5"`
	Count int
}
