package crl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"
)

// authority signs certificates and lists.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority"}, SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	a.cert = a.sign(template, template)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &a.key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// leaf is a chain of a certificate with a serial number.
func (a *authority) leaf(serial int64) []*x509.Certificate {
	return []*x509.Certificate{a.sign(&x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}, a.cert), a.cert}
}

// revokes is a list in DER.
func (a *authority) revokes(next time.Time, entries ...x509.RevocationListEntry) []byte {
	a.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: next.Add(-time.Hour), NextUpdate: next, RevokedCertificateEntries: entries,
	}, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func entry(serial int64, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now(), ReasonCode: reason}
}

func inPEM(lists ...[]byte) (text []byte) {
	for _, der := range lists {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	return text
}

func TestCheck(t *testing.T) {
	t.Parallel()
	a, namesake := newAuthority(t), newAuthority(t)
	now := time.Now()
	der := a.revokes(now.Add(time.Hour), entry(7, 1), entry(8, removedFromCRL))
	for name, text := range map[string][]byte{"DER": der, "PEM": inPEM(namesake.revokes(now.Add(-time.Hour), entry(9, 0)), der)} {
		l, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for serial, revoked := range map[int64]bool{7: true, 8: false, 9: false} {
			for range 2 {
				if err := l.Check([][]*x509.Certificate{a.leaf(serial)}); errors.Is(err, ErrRevoked) != revoked {
					t.Errorf("%s: %d: %v", name, serial, err)
				}
			}
		}
		if err := l.Check([][]*x509.Certificate{a.leaf(7), a.leaf(3)}); err != nil {
			t.Errorf("another chain is good: %v", err)
		}
		if err := l.Check(nil); err != nil {
			t.Errorf("no chain: %v", err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, text := range map[string][]byte{
		"nothing": nil, "text": []byte("nonsense"), "a certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}),
		"a broken list": inPEM([]byte("broken")),
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s is a list", name)
		}
	}
}
