package bridge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity/stir"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

const (
	stirCaller = "+12155551212"
	stirCallee = "+12355551212"
	stirOrigin = "123e4567-e89b-12d3-a456-426655440000"
)

// authority has signed a certificate for telephone numbers, which is its own root, and shows it to the world.
type authority struct {
	t       *testing.T
	dir     string
	server  *httptest.Server
	release chan struct{} // nil: the certificate is given at once
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SHAKEN"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	a.check(err)
	a.write("cert.pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(key)
	a.check(err)
	a.write("key.pem", "EC PRIVATE KEY", der)
	a.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.release != nil {
			<-a.release
		}
		http.ServeFile(w, r, a.file("cert.pem"))
	}))
	t.Cleanup(a.server.Close)
	a.write("web.pem", "CERTIFICATE", a.server.Certificate().Raw)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) check(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	a.check(os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (a *authority) signer() *stir.Signer {
	return stir.NewSigner(a.server.URL+"/cert.pem", a.file("key.pem"), nil)
}

func (a *authority) verifier() *stir.Verifier {
	return stir.NewVerifier(stir.Config{CA: a.file("cert.pem"), Fetch: stir.FetchConfig{
		Timeout: 30 * time.Second, Private: []string{"127.0.0.1"}, CA: a.file("web.pem"),
	}}, nil)
}

// identity is an Identity header for the usual caller, or another.
func (a *authority) identity(change ...func(*stir.Passport)) sip.Header {
	a.t.Helper()
	p := stir.Passport{Attest: stir.Full, Orig: stirCaller[1:], Dest: []string{stirCallee[1:]}, IssuedAt: time.Now(), OrigID: stirOrigin}
	for _, c := range change {
		c(&p)
	}
	value, err := a.signer().Sign(p)
	a.check(err)
	return sip.NewHeader("Identity", value)
}

// fromTrunk is a call of the pool's agent, which stands for a trunk, to a browser.
func (w *world) fromTrunk(user string, headers ...sip.Header) siptest.Call {
	w.t.Helper()
	from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: stirCaller, Host: "carrier.example"}}
	to := &sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: stirCallee, Host: "example.com"}}
	return siptest.Call{To: w.toBrowser(user), From: from, ToHeader: to, SDP: w.rtp().Offer("sendrecv"), Headers: headers}
}

// invited is what a browser gets of a call from a trunk; it declines, and the record is there.
func (w *world) invited(b *wsstest.Browser, c siptest.Call) *sip.Request {
	w.t.Helper()
	out, err := w.agents[0].Invite(c)
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	w.check(call.Reject(486, "Busy Here"))
	_, err = out.Final(w.ctx())
	w.check(err)
	w.record()
	return call.Invitation()
}

// verifying is a world whose pool stands for a trunk that is verified.
func (a *authority) verifying(t *testing.T, v Verifying, more func(*Peering)) (*world, *wsstest.Browser) {
	t.Helper()
	v.Verifier = a.verifier()
	p := Peering{Untrusted: true, STIR: STIR{Verify: &v}, Quota: Quota{Emergency: []string{"112"}}}
	if more != nil {
		more(&p)
	}
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": p}}})
	return w, w.registered("alice", wsstest.Options{})
}

func (r *RecordSTIR) String() string {
	if r == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %s %s signed %s", r.Verstat, r.Reason, r.Attest, r.OrigID, r.Signed)
}
