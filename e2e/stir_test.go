package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// withSTIR is a gateway at a carrier that signs and verifies. Certificates come from a server on a private address, which is allowed
// for this one.
const withSTIR = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
trunks:
  carrier:
    uri: "sip:127.0.0.10:5060"
    authenticate: {username: lab, password: labpw}
    numbers: {format: plain}
    caller: {instead: "+12155551212"}
    stir:
      sign: {certificate: "https://127.0.0.40:8443/us.pem", key: DIR/us.key, attest: C, rules: [{from: browsers, caller: '^\+1215', attest: B}]}
      verify: {ca: DIR/ca.pem, tell: both, certificates: {private: [127.0.0.40], ca: DIR/ca.pem, timeout: 10s}}
identity: {users: DIR/users}
routes:
  - {from: browsers, user: '^\+', to: carrier, register: local}
  - {from: browsers, domain: example.com, to: browsers, register: local}
  - {from: carrier, header: {P-Attestation-Indicator: '^A$'}, to: browsers, rewrite: {user: alice, domain: example.com}}
`

// Asterisk and the gateway verify what the other has signed, and Asterisk proves itself by digest; openssl made the certificates.
func TestSTIRWithAsterisk(t *testing.T) {
	dir := stirCertificates(t)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{
		Peer: "127.0.0.20:5060", PeerAuth: "labpw",
		STIR: &lab.AsteriskSTIR{URL: "https://127.0.0.40:8443/them.pem", Key: filepath.Join(dir, "them.key"), CA: filepath.Join(dir, "ca.pem")},
	})
	s := newSite(t, strings.ReplaceAll(withSTIR, "DIR", dir))
	s.ladderOnFailure(t)
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
		if _, err := asterisk.CLI("channel originate Local/651@lab extension 600@lab"); err != nil {
			t.Fatal(err)
		}
		in := p.Incoming()
		const shown = "+12155551212;verstat=TN-Validation-Passed"
		if state := in.State(); state.Verstat != "TN-Validation-Passed" || state.Peer != shown || state.Asserted != shown {
			t.Errorf("%s: %+v", library, state)
		}
		in.Answer()
		in.Hears(aliceTone)
		in.Hangup()
		s.quiet(t)
		s.lastRecord(t, func(r record) error {
			if r.STIR == nil || r.STIR.Verstat != "TN-Validation-Passed" || r.STIR.Attest != "A" {
				return fmt.Errorf("%+v", r.STIR)
			}
			return nil
		})
		if library == lab.JsSIP {
			s.signedFor(t, asterisk, p)
		}
		p.Unregister()
	}
}

// signedFor calls the carrier, which finds the call signed by us.
func (s *site) signedFor(t *testing.T, asterisk *lab.Asterisk, p *lab.Phone) {
	t.Helper()
	out := p.Call("sip:+12355551213@example.com")
	out.Wait("answered", 30*time.Second)
	out.Hears(aliceTone)
	out.Hangup()
	s.quiet(t)
	lab.Eventually(t, 10*time.Second, "Asterisk has verified the call", func() error {
		log := asterisk.Log()
		if !strings.Contains(log, "LAB-STIR 1 B success") {
			return fmt.Errorf("its log:\n%s", log)
		}
		return nil
	})
}

// stirCertificates makes an authority and its certificates with openssl: two for numbers (RFC 8226), them by the number and us by a provider's
// code, which is all that Asterisk takes, and that of the HTTPS server which shows them. The authority is the only one that this test's processes trust.
func stirCertificates(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	config := `
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[them]
keyUsage=critical,digitalSignature
1.3.6.1.5.5.7.1.26=ASN1:SEQUENCE:numbers
[numbers]
range=EXP:1,SEQUENCE:range
one=EXP:2,IA5:12155551212
[range]
start=IA5:12160000000
count=INTEGER:1000
[us]
keyUsage=critical,digitalSignature
1.3.6.1.5.5.7.1.26=ASN1:SEQUENCE:provider
[provider]
code=EXP:0,IA5:1001
[web]
subjectAltName=IP:127.0.0.40
extendedKeyUsage=serverAuth
`
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("openssl.cnf", config)
	write("users", "alice:alicepw\n")
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command(lab.Program(t, "openssl"), args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	for _, name := range []string{"ca", "us", "them", "web"} {
		openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", name+".key")
		openssl("req", "-new", "-key", name+".key", "-subj", "/CN="+name, "-out", name+".csr")
		sign := []string{"x509", "-req", "-in", name + ".csr", "-days", "2", "-extfile", "openssl.cnf", "-extensions", name, "-out", name + ".pem"}
		if name == "ca" {
			openssl(append(sign, "-signkey", "ca.key")...)
		} else {
			openssl(append(sign, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")...)
		}
	}
	if out, err := exec.Command("mount", "--bind", filepath.Join(dir, "ca.pem"), "/etc/ssl/certs/ca-certificates.crt").CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	serveCertificates(t, dir)
	return dir
}

// serveCertificates shows the public files of a folder at https://127.0.0.40:8443/.
func serveCertificates(t *testing.T, dir string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "web.pem"), filepath.Join(dir, "web.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.40:8443")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".pem") {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, filepath.Base(r.URL.Path)))
	})}
	go func() { _ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})) }()
	t.Cleanup(func() { server.Close() })
}
