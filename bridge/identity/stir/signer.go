package stir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/bridge/identity/watched"
)

// Signer makes Identity headers. Safe for concurrent use.
type Signer struct {
	certificate string
	key         *watched.File[*ecdsa.PrivateKey]
	now         func() time.Time
}

// NewSigner signs with a PEM file's key, which is read again when it changes. certificate is the URL at which the whole world finds
// the certificate.
func NewSigner(certificate, key string, log *slog.Logger) *Signer {
	return &Signer{certificate: certificate, key: watched.New(key, readKey, log), now: time.Now}
}

// Sign gives the value of the Identity header (RFC 8224 §4) with a SHAKEN PASSporT in full form, which SHAKEN wants.
func (s *Signer) Sign(p Passport) (string, error) {
	key, err := s.key.Get(s.now())
	if err != nil {
		return "", fmt.Errorf("stir: %w", err)
	}
	text := encoded(joseHeader{Alg: "ES256", PPT: shaken, Typ: "passport", X5U: s.certificate}) + "." + encoded(p.claims())
	signature, err := jwt.SigningMethodES256.Sign(text, key)
	if err != nil {
		return "", fmt.Errorf("stir: %w", err)
	}
	token := text + "." + base64.RawURLEncoding.EncodeToString(signature)
	return Header{Token: token, Info: s.certificate, Alg: "ES256", PPT: shaken}.String(), nil
}

// CheckKey says what is wrong with a key file.
func CheckKey(name string) error {
	text, err := os.ReadFile(name)
	if err == nil {
		_, err = readKey(text)
	}
	return err
}

// readKey reads the first private key of a PEM text, which has to be of P-256 (RFC 8225 §4: ES256).
func readKey(text []byte) (*ecdsa.PrivateKey, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("there is no private key in PEM")
		}
		var key any
		var err error
		switch block.Type {
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default: // EC PARAMETERS, which openssl puts before it
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the private key: %w", err)
		}
		own, is := key.(*ecdsa.PrivateKey)
		if !is || own.Curve != elliptic.P256() {
			return nil, errors.New("the private key is not one of P-256")
		}
		return own, nil
	}
}
