package media

import "encoding/binary"

const (
	recordHeader    = 13
	recordAlert     = 21
	recordHandshake = 22
	helloClient     = 1
	helloVerify     = 3
)

// records is what a datagram of DTLS records (RFC 6347 §4.1) holds.
//
//	|type|version|epoch|sequence number|length| fragment …
//	|  1 |   2   |  2  |       6       |  2   |
type records struct {
	hello    bool // (a piece of) a ClientHello in the clear
	finished bool // an encrypted handshake record: a last flight that comes again
	alert    bool
	other    bool
}

// scanRecords looks over a datagram without verifying anything; false where it is not made of whole records.
func scanRecords(p []byte) (records, bool) {
	var r records
	for len(p) > 0 {
		if len(p) < recordHeader {
			return r, false
		}
		size := recordHeader + int(binary.BigEndian.Uint16(p[11:]))
		if size > len(p) {
			return r, false
		}
		epoch := binary.BigEndian.Uint16(p[3:])
		switch {
		case p[0] == recordAlert:
			r.alert = true
		case p[0] == recordHandshake && epoch > 0:
			r.finished = true
		case p[0] == recordHandshake && size > recordHeader && p[recordHeader] == helloClient:
			r.hello = true
		default:
			r.other = true
		}
		p = p[size:]
	}
	return r, true
}

// withoutAlerts copies a datagram of whole records but for alerts in the clear, which anybody could have written.
func withoutAlerts(p []byte) []byte {
	out := make([]byte, 0, len(p))
	for len(p) > 0 {
		size := recordHeader + int(binary.BigEndian.Uint16(p[11:]))
		if p[0] != recordAlert || binary.BigEndian.Uint16(p[3:]) > 0 {
			out = append(out, p[:size]...)
		}
		p = p[size:]
	}
	return out
}
