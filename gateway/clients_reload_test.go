package gateway

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// revokes writes a list of serial numbers that an authority took back, dated so that the file is another one.
func (a authority) revokes(file string, number int64, serials ...*big.Int) {
	a.t.Helper()
	template := x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now()})
	}
	key, ok := a.pair.PrivateKey.(crypto.Signer)
	if !ok {
		a.t.Fatal("the authority's key signs nothing")
	}
	der, err := x509.CreateRevocationList(rand.Reader, &template, a.pair.Leaf, key)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// Who is revoked, and who signs, is read again while the listener is open; a session that is resumed is looked at again, too.
func TestClientTrustIsReadAgain(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	good, gone, foreign := ours.user("alice@example.com"), ours.user("bob@example.com"), theirs.user("carol@example.com")
	list := filepath.Join(t.TempDir(), "crl.pem")
	ours.revokes(list, 1)
	_, secure, _ := openFrontedWeb(t, HTTPS{Clients: &HTTPSClients{CA: ours.file, CRL: list}}, doors{})
	resumed := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{gone}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}}
	again := func() (status int, resumes bool) {
		res, err := resumed.Get(secure + "/")
		if err != nil {
			return 0, false
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode, res.TLS.DidResume
	}
	if status, _ := again(); status != 200 {
		t.Fatalf("before: %d", status)
	}
	if status, resumes := again(); status != 200 || !resumes {
		t.Fatalf("a second time: %d, resumed: %t", status, resumes)
	}
	ours.revokes(list, 2, gone.Leaf.SerialNumber)
	until(t, "who is revoked is out", func() bool { return getWith(secure, gone) == 0 })
	if status, _ := again(); status != 0 {
		t.Errorf("by a session of before: %d", status)
	}
	if status := getWith(secure, good); status != 200 {
		t.Errorf("another one: %d", status)
	}
	if status := getWith(secure, foreign); status != 0 {
		t.Errorf("another authority's: %d", status)
	}
	text, err := os.ReadFile(theirs.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours.file, append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the other authority signs now", func() bool { return getWith(secure, foreign) == 200 })
	if status := getWith(secure, good); status != 0 {
		t.Errorf("the first authority's: %d", status)
	}
}

func TestFaultsOfRevocation(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	for file, want := range map[string]string{ours.file: "https.clients.crl: the file holds a CERTIFICATE", "/nowhere": "https.clients.crl: open /nowhere"} {
		text := strings.Replace(least, "https: {", "https: {clients: {ca: "+ours.file+", crl: "+file+"}, ", 1)
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
