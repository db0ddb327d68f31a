package bridge

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// tokenMint makes what identifies a registration at a backend. All of it is letters and digits: FreeSWITCH un-escapes what is
// not, and some registrars fold case.
type tokenMint struct {
	node   string // letters and digits
	secret []byte
	boot   string // of this process: its Call-IDs begin counting CSeq anew
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newTokenMint(node string, secret []byte) tokenMint {
	return tokenMint{node: alphanumeric(node), secret: secret, boot: rand.Text()}
}

// token names a binding by address of record, instance and reg-id, or by the Contact's user part where no instance is given: so
// a client that comes back replaces its own binding, and nobody can guess a token. It begins with a letter, so that no rule for
// numbers takes it for one. The node follows the 26 letters and digits.
func (m tokenMint) token(aor, instance, regID, user string) string {
	if instance != "" {
		user = ""
	}
	return "b" + m.hash("token", aor, instance, regID, user)[1:] + m.node
}

// callID names our leg of a registration, the same over refreshes and members.
func (m tokenMint) callID(token string) string {
	return "T" + m.node + m.hash("call-id", m.boot, token)
}

// tag is our From-tag on that leg towards one backend.
func (m tokenMint) tag(token, backend string) string {
	return "T" + m.node + m.hash("tag", m.boot, token, backend)
}

// hash gives 130 bits as 26 letters and digits. The parts' lengths are hashed with them: no two lists of parts are alike.
func (m tokenMint) hash(parts ...string) string {
	mac := hmac.New(sha256.New, m.secret)
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		mac.Write(length[:])
		mac.Write([]byte(p))
	}
	return lowerBase32.EncodeToString(mac.Sum(nil))[:26]
}

func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
