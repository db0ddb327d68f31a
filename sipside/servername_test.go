package sipside

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true}, nil, nil)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if parent == nil {
		parent, by = template, key
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// pair is a certificate of the authority's.
func (a *authority) pair(template *x509.Certificate) tls.Certificate {
	cert, key := a.sign(template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func uris(t *testing.T, texts ...string) (out []*url.URL) {
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

func TestSIPDomains(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   x509.Certificate
		want []string
	}{
		"sip URI before DNS":  {x509.Certificate{URIs: uris(t, "sip:example.com"), DNSNames: []string{"sip1.example.com"}}, []string{"example.com"}},
		"other URIs, and DNS": {x509.Certificate{URIs: uris(t, "https://example.com", "sips:b.example"), DNSNames: []string{"a.example"}}, []string{"a.example"}},
		"a user's":            {x509.Certificate{URIs: uris(t, "sip:alice@example.com"), DNSNames: []string{"a.example"}}, []string{"a.example"}},
		"common name":         {x509.Certificate{Subject: pkix.Name{CommonName: "example.com"}}, []string{"example.com"}},
		"common name beside":  {x509.Certificate{Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"a.example"}}, []string{"a.example"}},
		"a person":            {x509.Certificate{Subject: pkix.Name{CommonName: "example.com"}, EmailAddresses: []string{"a@example.com"}}, nil},
		"address":             {x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, []string{"192.0.2.1"}},
	} {
		if got := sipDomains(&c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestVerifyServer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	sipOnly := []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 20}}
	for name, c := range map[string]struct {
		of     x509.Certificate
		domain string
		roots  *x509.CertPool
		want   string // in the error; "": none
	}{
		"domain":          {x509.Certificate{URIs: uris(t, "sip:Example.com")}, "example.com", a.pool(), ""},
		"another":         {x509.Certificate{DNSNames: []string{"b.example"}}, "a.example", a.pool(), "of b.example, not of a.example"},
		"wildcard":        {x509.Certificate{DNSNames: []string{"*.example.com"}}, "sip.example.com", a.pool(), "not of sip.example.com"},
		"wildcard, asked": {x509.Certificate{DNSNames: []string{"*.example.com"}}, "*.example.com", a.pool(), ""},
		"for SIP only":    {x509.Certificate{DNSNames: []string{"a.example"}, UnknownExtKeyUsage: sipOnly}, "a.example", a.pool(), ""},
		"for mail only": {x509.Certificate{DNSNames: []string{"a.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}},
			"a.example", a.pool(), "incompatible key usage"},
		"another authority": {x509.Certificate{DNSNames: []string{"a.example"}}, "a.example", newAuthority(t).pool(), "unknown authority"},
	} {
		cert, _ := a.sign(&c.of, a.cert, a.key)
		err := verifyServer([]*x509.Certificate{cert}, c.roots, c.domain)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", name, err, c.want)
		}
	}
}

// A trunk is trusted by its own authority, has to be who it is expected to be, and sees our certificate.
func TestTrunkTLS(t *testing.T) {
	t.Parallel()
	theirs, ours := newAuthority(t), newAuthority(t)
	server := &tls.Config{
		Certificates: []tls.Certificate{theirs.pair(&x509.Certificate{URIs: uris(t, "sip:carrier.example")})},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ours.pool(),
	}
	us := ours.pair(&x509.Certificate{URIs: uris(t, "sip:us.example"), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	for name, c := range map[string]struct {
		with TLS
		good bool
	}{
		"known":             {TLS{&tls.Config{RootCAs: theirs.pool(), Certificates: []tls.Certificate{us}}, "carrier.example"}, true},
		"another carrier":   {TLS{&tls.Config{RootCAs: theirs.pool(), Certificates: []tls.Certificate{us}}, "other.example"}, false},
		"by its address":    {TLS{&tls.Config{RootCAs: theirs.pool(), Certificates: []tls.Certificate{us}}, ""}, false},
		"not our own CA":    {TLS{&tls.Config{RootCAs: ours.pool(), Certificates: []tls.Certificate{us}}, "carrier.example"}, false},
		"no certificate":    {TLS{&tls.Config{RootCAs: theirs.pool()}, "carrier.example"}, false},
		"without a trunk's": {TLS{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := listenStream(t, "127.0.0.1:0")
			cfg := trunk(t, "sip:"+plain.at.String()+";transport=tls")
			if c.with.Config != nil {
				cfg.Trunks[0].TLS = &c.with
			}
			d := openDoor(t, cfg, testLimits())
			got, on := events()
			if _, err := d.Backend("pbx").Request(request(t, "OPTIONS", "sip:bob@example.com", ""), on); err != nil {
				t.Fatal(err)
			}
			sock, err := plain.l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if !c.good {
				defer sock.Close()
				if tls.Server(sock, server).Handshake() == nil { // TLS 1.3: the client's verdict comes with its first record
					sock.Close()
				}
				if e := receive(t, "the refusal", got); e.Err == nil {
					t.Errorf("%+v", e)
				}
				return
			}
			peer := newStreamPeer(t, tls.Server(sock, server))
			peer.send(answerTo(t, peer.read(), 200, "OK"))
			if e := receive(t, "the response", got); e.Err != nil {
				t.Error(e.Err)
			}
		})
	}
}
