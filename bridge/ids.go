package bridge

import "crypto/rand"

// minter makes the identifiers that a dialog needs. All carry the node, all are letters and digits only: FreeSWITCH
// un-escapes what is not, and JsSIP refuses (482) a Call-ID that starts with its own five characters of 0-9a-v, which an
// upper-case letter in front can never be.
type minter struct{ node string }

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

// callID is the Call-ID of a leg that we open.
func (m minter) callID() string { return "T" + m.node + random(24) }

// tag is our tag on a leg.
func (m minter) tag() string { return "T" + m.node + random(12) }

// token is the user part of our Contact on a leg.
func (m minter) token() string { return "t" + m.node + random(16) }

// call is the id of a call in logs, events and snapshots.
func (m minter) call() string { return m.node + random(16) }

// sessionID is one half of an RFC 7989 Session-ID: 32 lower-case hex digits.
func (m minter) sessionID() string {
	const hex = "0123456789abcdef"
	return randomOf(hex, 32)
}

func random(n int) string { return randomOf(alphabet, n) }

// randomOf draws n letters; the alphabet's length is at most 256 and the bias of the modulo does not matter for ids.
func randomOf(letters string, n int) string {
	text := make([]byte, n)
	rand.Read(text)
	for i, b := range text {
		text[i] = letters[int(b)%len(letters)]
	}
	return string(text)
}
