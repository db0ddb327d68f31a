package media

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
)

// A ufrag of ours names its leg: 16 characters of base64 (its alphabet is ICE's, RFC 8839 §5.4) over
//
//	 0      2        3      4          8             12
//	| node | worker | 0xA1 | leg slot | random bits   |
//
// The worker is the one at minting; the leg may have moved since.
const (
	ufragBytes    = 12
	ufragLength   = 16
	ufragMark     = 0xA1
	passwordBytes = 18 // 144 bits; RFC 8445 §5.3 wants 128
)

func newCredentials(node uint16, worker int, slot uint32) Credentials {
	var b [ufragBytes]byte
	rand.Read(b[8:])
	binary.BigEndian.PutUint16(b[:], node)
	b[2], b[3] = byte(worker), ufragMark
	binary.BigEndian.PutUint32(b[4:], slot)
	var p [passwordBytes]byte
	rand.Read(p[:])
	return Credentials{base64.StdEncoding.EncodeToString(b[:]), base64.StdEncoding.EncodeToString(p[:])}
}

// parseUfrag gives the node and the leg's slot; false for a ufrag that no engine of ours minted.
func parseUfrag(ufrag []byte) (node uint16, slot uint32, ok bool) {
	var b [ufragBytes]byte
	if len(ufrag) != ufragLength {
		return 0, 0, false
	}
	if _, err := base64.StdEncoding.Decode(b[:], ufrag); err != nil || b[3] != ufragMark {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint32(b[4:]), true
}
