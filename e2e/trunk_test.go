package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// withCarrier is a gateway at a carrier that wants TLS with certificates on both sides, SDES, a registration and digests, and numbers
// without country code.
const withCarrier = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["tls://127.0.0.20:5061"], certificate: DIR/us.pem, key: DIR/us.key}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
trunks:
  carrier:
    uri: "sip:127.0.0.10:5061;transport=tls"
    ca: DIR/ca.pem
    certificate: DIR/us.pem
    key: DIR/us.key
    server-name: carrier.example
    srtp: sdes
    username: alice
    password: alicepw
    register: true
    probe: {every: 1s}
    numbers: {out: {match: '^\+49(6..)$', replace: $1}}
    caller: {from: account}
identity: {users: DIR/users}
routes:
  - {from: browsers, user: '^\+49', to: carrier}
  - {from: browsers, domain: example.com, to: browsers, register: local}
  - {from: carrier, to: browsers}
`

// An Asterisk is the carrier: calls go both ways, and its challenges and its TLS are none of the browser's.
func TestTrunkAtAsterisk(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir, map[string]string{"carrier": "sip:carrier.example", "us": "sip:us.example"})
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte("alice:alicepw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{
		Users: lab.AsteriskMedia{Encryption: "sdes"},
		TLS:   &lab.AsteriskTLS{Certificate: filepath.Join(dir, "carrier.pem"), Key: filepath.Join(dir, "carrier.key"), CA: filepath.Join(dir, "ca.pem")},
	})
	s := newSite(t, strings.ReplaceAll(withCarrier, "DIR", dir))
	s.ladderOnFailure(t)
	s.hidingFrom(t, "127.0.0.10")
	s.asterisk = asterisk
	lab.Eventually(t, 30*time.Second, "the gateway is registered", func() error {
		if !asterisk.Registered(t, "alice") {
			return errors.New("no contact")
		}
		return nil
	})
	lab.Eventually(t, 30*time.Second, "Asterisk answers a probe", func() error {
		if b := s.Backends()[0]; b.State != "up" || b.Latency == 0 {
			return fmt.Errorf("%+v", b)
		}
		return nil
	})
	p := lab.StartChromium(t).Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
	if status := p.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	out := p.Call("sip:+49600@example.com")
	out.Wait("answered", 30*time.Second)
	out.Hears(aliceTone)
	out.Hangup()
	s.quiet(t)
	s.keyedBy(t, "callee", "RTP/SAVP SRTP_AES128_CM_HMAC_SHA1_80")
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 600@lab"); err != nil {
		t.Fatal(err)
	}
	in := p.Incoming()
	in.Answer()
	in.Hears(aliceTone)
	in.Hangup()
	s.quiet(t)
	s.keyedBy(t, "caller", "RTP/SAVP SRTP_AES128_CM_HMAC_SHA1_80")
}

// withProvider is a gateway with an account at a sipp.
const withProvider = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
trunks:
  provider: {uri: "sip:127.0.0.30:5060", domain: sipp.example, username: "4930123", password: secret, register: true, caller: {from: account}}
routes: [{from: browsers, to: provider}]
`

// A sipp is the carrier: it wants a digest of REGISTER, INVITE and BYE, whose nonce serves twice.
func TestTrunkAtSipp(t *testing.T) {
	sipp := lab.StartSipp(t, "trunk", "127.0.0.30", "", 2)
	lab.Eventually(t, 30*time.Second, "sipp listens", func() error { // a REGISTER before that is repeated half a minute later
		if sockets, err := os.ReadFile("/proc/net/udp"); err != nil || !strings.Contains(string(sockets), "1E00007F:13C4") {
			return errors.Join(errors.New("no socket"), err)
		}
		return nil
	})
	s := newSite(t, withProvider)
	s.ladderOnFailure(t)
	s.hidingFrom(t, "127.0.0.30")
	lab.Eventually(t, 30*time.Second, "the gateway is registered", func() error {
		if !s.Backends()[0].Registered {
			return errors.New("not yet")
		}
		return nil
	})
	c := lab.StartChromium(t).Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone)).Call("sip:+4930600@example.com")
	c.Wait("answered", 30*time.Second)
	c.Hears(lab.ToneHz)
	c.Hangup()
	sipp.Wait(t)
	s.quiet(t)
}

// certificates writes NAME.pem and NAME.key for SIP domains, and the authority's ca.pem.
func certificates(t *testing.T, dir string, domains map[string]string) {
	t.Helper()
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true}
	ca, signer := certified(t, filepath.Join(dir, "ca"), authority, nil, nil)
	for name, domain := range domains {
		uri, err := url.Parse(domain)
		if err != nil {
			t.Fatal(err)
		}
		certified(t, filepath.Join(dir, name), &x509.Certificate{Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{uri}}, ca, signer)
	}
}

func certified(t *testing.T, file string, of, by *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil && by == nil {
		by, signer = of, key
	}
	of.NotBefore, of.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	var der, secret []byte
	if err == nil {
		of.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	}
	if err == nil {
		der, err = x509.CreateCertificate(rand.Reader, of, by, &key.PublicKey, signer)
	}
	if err == nil {
		secret, err = x509.MarshalPKCS8PrivateKey(key)
	}
	for name, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		err = errors.Join(err, os.WriteFile(file+name, pem.EncodeToMemory(block), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
