package media

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/selfsign"

	"tandem/bridge/sdp"
)

// identityLife is how long a certificate is given to new legs: well below the month for which it is valid.
const identityLife = 14 * 24 * time.Hour

// identity is a DTLS certificate of ours: self-signed, vouched for by the fingerprint in our SDP. A leg keeps its own for life.
type identity struct {
	certificate tls.Certificate
	fingerprint sdp.Fingerprint
}

// identities gives out the certificate for new legs, and renews it now and then. Safe for concurrent use.
type identities struct {
	mu     sync.Mutex
	latest *identity
	made   time.Time
}

func newIdentities(now time.Time) (*identities, error) {
	first, err := newIdentity()
	return &identities{latest: first, made: now}, err
}

// at is the certificate for a leg that begins now. Where no new one can be made the old one stays.
func (i *identities) at(now time.Time) *identity {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now.Sub(i.made) >= identityLife {
		if fresh, err := newIdentity(); err == nil {
			i.latest, i.made = fresh, now
		}
	}
	return i.latest
}

func newIdentity() (*identity, error) {
	c, err := selfsign.GenerateSelfSigned() // ECDSA P-256
	if err != nil {
		return nil, fmt.Errorf("media: certificate: %w", err)
	}
	sum := sha256.Sum256(c.Certificate[0])
	return &identity{c, sdp.Fingerprint{Algorithm: "sha-256", Value: colonHex(sum[:])}}, nil
}

// colonHex writes a digest as SDP does (RFC 8122 §5).
func colonHex(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

// matching gives the fingerprint that a certificate fits. SHA-1 and older count for nothing (RFC 8122 §5).
func matching(certificate []byte, offered []sdp.Fingerprint) (sdp.Fingerprint, bool) {
	for _, f := range offered {
		var sum []byte
		switch strings.ToLower(f.Algorithm) {
		case "sha-256":
			s := sha256.Sum256(certificate)
			sum = s[:]
		case "sha-384":
			s := sha512.Sum384(certificate)
			sum = s[:]
		case "sha-512":
			s := sha512.Sum512(certificate)
			sum = s[:]
		default:
			continue
		}
		if strings.EqualFold(colonHex(sum), f.Value) {
			return f, true
		}
	}
	return sdp.Fingerprint{}, false
}
