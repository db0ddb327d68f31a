package identity

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
)

// Algorithm is a hash of digest as challenges name it (RFC 8760 §2.1).
type Algorithm string

// The algorithms that are known.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// Algorithms are those that are known, the strongest first.
func Algorithms() []Algorithm { return []Algorithm{SHA512256, SHA256, MD5} }

// algorithmOf reads the algorithm of a challenge or of credentials; who names none means MD5 (RFC 7616 §3.3).
func algorithmOf(value string) Algorithm {
	if value == "" {
		return MD5
	}
	return Algorithm(strings.ToUpper(value))
}

// strength orders algorithms; 0 is one that is not known.
func (a Algorithm) strength() int {
	known := Algorithms()
	if i := slices.Index(known, a); i >= 0 {
		return len(known) - i
	}
	return 0
}

// HA1 is the hex hash of user:realm:password (RFC 7616 §3.4.2) by an algorithm that is known.
func (a Algorithm) HA1(user, realm, password string) string {
	var h hash.Hash
	switch a {
	case SHA512256:
		h = sha512.New512_256()
	case SHA256:
		h = sha256.New()
	default:
		h = md5.New()
	}
	h.Write([]byte(user + ":" + realm + ":" + password))
	return hex.EncodeToString(h.Sum(nil))
}
