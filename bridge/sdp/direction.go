package sdp

// Direction of a stream, seen from whoever wrote the description (RFC 3264 §5.1). Bit 0: sends, bit 1: receives.
type Direction uint8

const (
	Inactive Direction = 0
	SendOnly Direction = 1
	RecvOnly Direction = 2
	SendRecv Direction = 3
)

// Sends says whether the writer of the description sends.
func (d Direction) Sends() bool { return d&SendOnly != 0 }

// Receives says whether the writer of the description receives.
func (d Direction) Receives() bool { return d&RecvOnly != 0 }

// Reverse is the same direction seen from the other end, and so the most that an answer may say (RFC 3264 §6.1).
func (d Direction) Reverse() Direction { return d>>1&1 | d<<1&2 }

// String is the attribute's name.
func (d Direction) String() string {
	return [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}[d&SendRecv]
}

// directionOf reads the direction attribute of a section; ok is false where it has none.
func directionOf(s section) (d Direction, ok bool) {
	for _, a := range s.attributes {
		for d := Inactive; d <= SendRecv; d++ {
			if a.key == d.String() {
				return d, true
			}
		}
	}
	return SendRecv, false
}
