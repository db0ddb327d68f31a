package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/wss/wsstest"
)

// authority signs clients' certificates.
type authority struct {
	t    *testing.T
	pair tls.Certificate
	file string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	a.pair = a.sign(x509.Certificate{
		Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.pair.Certificate[0]})
	if err := os.WriteFile(a.file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate for an hour; the first signs itself.
func (a authority) sign(template x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	parent, signer := &template, any(key)
	if a.pair.Leaf != nil {
		parent, signer = a.pair.Leaf, a.pair.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a authority) user(aor string) tls.Certificate {
	u, err := url.Parse("sip:" + aor)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.sign(x509.Certificate{Subject: pkix.Name{CommonName: "A phone", Organization: []string{"Example, Inc."}}, URIs: []*url.URL{u}})
}

// get is the status of a page, 0 where TLS refuses it.
func getWith(url string, certs ...tls.Certificate) int {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs},
	}}
	res, err := client.Get(url + "/")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// Who comes in with which certificate, where they are welcome, where they are needed, and beside a relay, whose clients have none.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	good, foreign := ours.user("alice@example.com"), theirs.user("alice@example.com")
	expired := ours.sign(x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, NotAfter: time.Now().Add(-time.Minute)})
	relay := func(conn net.Conn, _ []byte) { conn.Close() }
	for _, tc := range []struct {
		name     string
		required bool
		doors    doors
		status   [4]int // without, good, foreign, expired
	}{
		{"welcome", false, doors{}, [4]int{200, 200, 0, 0}},
		{"required", true, doors{}, [4]int{0, 200, 0, 0}},
		{"required beside a relay", true, doors{relay: relay}, [4]int{403, 200, 0, 0}},
	} {
		_, secure, _ := openFrontedWeb(t, HTTPS{Clients: &HTTPSClients{CA: ours.file, Required: tc.required}}, tc.doors)
		got := [4]int{getWith(secure), getWith(secure, good), getWith(secure, foreign), getWith(secure, expired)}
		if got != tc.status {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.status)
		}
	}
}

func TestCertifiedUser(t *testing.T) {
	t.Parallel()
	uri := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	alice := pkix.Name{CommonName: "alice"}
	for want, cert := range map[string]x509.Certificate{
		"alice@example.com": {URIs: []*url.URL{uri("https://example.com/x"), uri("sips:alice@example.com;transport=tls")}, EmailAddresses: []string{"x@y"}, Subject: alice},
		"bob@example.com":   {EmailAddresses: []string{"bob@example.com", "other@example.com"}, Subject: alice},
		"alice":             {Subject: alice},
		"":                  {URIs: []*url.URL{uri("sip:example.com")}, Subject: alice}, // RFC 5922: who has alternative names has no other
	} {
		if got := certifiedUser(&cert); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A certificate is who its user is: it registers without a password, for nobody else, and stands in the record of a call.
func TestCertificateIsAnIdentity(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cfg, err := parse(t, strings.NewReplacer(
		"https: {listen: 127.0.0.1:0}", "https: {listen: 127.0.0.1:0, clients: {ca: "+ca.file+", identity: true}, limits: {per-user: 1}}",
		"{from: browsers, to: pbx}", "{from: browsers, to: pbx, register: local}", "42000-42099", "42100-42199",
	).Replace(small+"call: {try-timeout: 50ms}\n"))
	if err != nil {
		t.Fatal(err)
	}
	log, records := &logLines{}, make(chan bridge.Record, 10)
	g, err := New(cfg, Options{LogTo: log, Events: recordsTo(records)})
	if err != nil {
		t.Fatal(err)
	}
	running(t, g)
	dial := func(certs ...tls.Certificate) *wsstest.Browser {
		b, err := wsstest.Dial(t.Context(), "ws"+strings.TrimPrefix(g.URLs()[0], "http")+"/sip", wsstest.Options{
			TLS: &tls.Config{InsecureSkipVerify: true, Certificates: certs},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	for _, tc := range []struct {
		certs  []tls.Certificate
		user   string
		status int
	}{
		{nil, "alice", 403},
		{[]tls.Certificate{ca.user("alice@example.com")}, "alice", 200},
		{[]tls.Certificate{ca.user("alice@example.com")}, "bob", 403},
		{[]tls.Certificate{ca.user("alice@elsewhere.example")}, "alice", 403},
	} {
		b := dial(tc.certs...)
		res, err := b.Register(t.Context(), tc.user, "")
		var refused *wsstest.StatusError
		if errors.As(err, &refused) {
			res, err = refused.Response, nil
		}
		if err != nil || res.StatusCode != tc.status {
			t.Errorf("%s: %v %v, want %d\n%s", tc.user, res, err, tc.status, log)
		}
	}
	first := dial(ca.user("alice@example.com"))
	if _, err := first.Register(t.Context(), "alice", ""); err != nil {
		t.Fatal(err)
	}
	b := dial(ca.user("alice@example.com"))
	if _, err := b.Register(t.Context(), "alice", ""); err != nil {
		t.Fatal(err)
	}
	until(t, "her first connection is one too many", func() bool {
		select {
		case <-first.Done():
			return true
		default:
			return false
		}
	})
	call, err := b.Invite(t.Context(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(call.Close)
	r := <-records
	if r.Client != "127.0.0.1" || r.Subject != `CN=A phone,O=Example\, Inc.` {
		t.Errorf("client %q, certificate %q", r.Client, r.Subject)
	}
}

// recordsTo is an Events that keeps the records.
type recordsTo chan bridge.Record

func (r recordsTo) CallEvent(e bridge.Event) {
	if e.Record != nil {
		r <- *e.Record
	}
}

// What browsers have is taken, and nothing that lacks forward secrecy or authenticated encryption.
func TestModernTLS(t *testing.T) {
	t.Parallel()
	pair := writeCertificate(t, t.TempDir(), "a")
	certs, err := openCertificates([]Certificate{pair}, nil, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	all := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	taken := 0
	for _, suite := range all {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
			_, err := handshake(t, webTLS(certs, nil, true, nil), &tls.Config{MinVersion: version, MaxVersion: version, CipherSuites: []uint16{suite.ID}})
			good := version == tls.VersionTLS12 && strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA") && !strings.Contains(suite.Name, "CBC") && !strings.Contains(suite.Name, "RC4")
			if (err == nil) != good {
				t.Errorf("%s with %s: %v", tls.VersionName(version), suite.Name, err)
			}
			if err == nil {
				taken++
			}
		}
	}
	if taken != 3 {
		t.Errorf("%d suites", taken)
	}
	if _, err := handshake(t, webTLS(certs, nil, true, nil), &tls.Config{MinVersion: tls.VersionTLS13}); err != nil {
		t.Error(err)
	}
}
