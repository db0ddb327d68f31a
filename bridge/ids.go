package bridge

import "crypto/rand"

// minter makes the identifiers that a dialog needs. All carry the node, all are letters and digits only: FreeSWITCH
// un-escapes what is not, and JsSIP refuses (482) a Call-ID that starts with its own five characters of 0-9a-v, which an
// upper-case letter in front can never be.
type minter struct{ node string }

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

// callID is the Call-ID of a leg that we open.
func (m minter) callID() string { return random("T", m.node, alphabet, 24) }

// tag is our tag on a leg.
func (m minter) tag() string { return random("T", m.node, alphabet, 12) }

// token is the user part of our Contact on a leg.
func (m minter) token() string { return random("t", m.node, alphabet, 16) }

// call is the id of a call in logs, events and snapshots.
func (m minter) call() string { return random("", m.node, alphabet, 16) }

// sessionID is one half of an RFC 7989 Session-ID: 32 lower-case hex digits.
func (m minter) sessionID() string {
	const hex = "0123456789abcdef"
	return random("", "", hex, 32)
}

// random is a text with n letters behind it, at most 32, that were drawn from an alphabet of at most 256; the bias of the modulo does
// not matter for ids.
func random(first, second, letters string, n int) string {
	var drawn [32]byte
	rand.Read(drawn[:n])
	text := append(append(make([]byte, 0, 64), first...), second...)
	for _, b := range drawn[:n] {
		text = append(text, letters[int(b)%len(letters)])
	}
	return string(text)
}
