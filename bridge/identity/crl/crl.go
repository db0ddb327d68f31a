// Package crl says which certificates their authorities have taken back (RFC 5280 §5).
package crl

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
)

// List is the certificate revocation lists of any number of authorities. Safe for concurrent use.
type List struct {
	byIssuer map[string][]*issued // by the issuer's name in DER; static
}

// issued is one authority's list.
type issued struct {
	*x509.RevocationList
	serials map[string]struct{}
	signers sync.Map // authorities' certificates in DER: whether they signed it
}

// ErrRevoked is wrapped by Check's error.
var ErrRevoked = errors.New("the certificate is revoked")

// Parse reads lists in PEM, or one in DER.
func Parse(text []byte) (*List, error) {
	l := &List{byIssuer: map[string][]*issued{}}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("the file holds a %s", block.Type)
		}
		if err := l.add(block.Bytes); err != nil {
			return nil, err
		}
	}
	if len(l.byIssuer) > 0 {
		return l, nil
	}
	if err := l.add(text); err != nil {
		return nil, errors.New("there is no certificate revocation list in PEM or DER")
	}
	return l, nil
}

func (l *List) add(der []byte) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("the certificate revocation list: %w", err)
	}
	one := &issued{RevocationList: list, serials: map[string]struct{}{}}
	for _, e := range list.RevokedCertificateEntries {
		if e.ReasonCode != removedFromCRL {
			one.serials[e.SerialNumber.String()] = struct{}{}
		}
	}
	issuer := string(list.RawIssuer)
	l.byIssuer[issuer] = append(l.byIssuer[issuer], one)
	return nil
}

// removedFromCRL is the reason that takes a hold back (RFC 5280 §5.3.1).
const removedFromCRL = 8

// Check says whether one of some verified chains, leaf first, has no certificate that is revoked by who signed it. An authority without
// a list has revoked nothing; a list past its next update says what it says.
func (l *List) Check(chains [][]*x509.Certificate) error {
	var first error
	for _, chain := range chains {
		err := l.check(chain)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (l *List) check(chain []*x509.Certificate) error {
	for i := 0; i+1 < len(chain); i++ {
		cert, authority := chain[i], chain[i+1]
		for _, one := range l.byIssuer[string(authority.RawSubject)] {
			if _, listed := one.serials[cert.SerialNumber.String()]; listed && one.signedBy(authority) {
				return fmt.Errorf("%w: serial number %x of %s", ErrRevoked, cert.SerialNumber, authority.Subject)
			}
		}
	}
	return nil
}

// signedBy says whether an authority made the list, and not another of that name.
func (o *issued) signedBy(authority *x509.Certificate) bool {
	key := string(authority.Raw)
	if known, ok := o.signers.Load(key); ok {
		return known.(bool)
	}
	good := authority.CheckSignature(o.SignatureAlgorithm, o.RawTBSRevocationList, o.Signature) == nil
	o.signers.Store(key, good)
	return good
}
