package load

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
)

// identity is the certificate of all browsers.
type identity struct {
	certificate tls.Certificate
	fingerprint string // SHA-256, as SDP writes it
}

func newIdentity() (identity, error) {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return identity{}, fmt.Errorf("load: certificate: %w", err)
	}
	sum := sha256.Sum256(c.Certificate[0])
	hex := make([]string, len(sum))
	for i, b := range sum {
		hex[i] = fmt.Sprintf("%02X", b)
	}
	return identity{certificate: c, fingerprint: strings.Join(hex, ":")}, nil
}
