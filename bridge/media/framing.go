package media

import (
	"encoding/binary"
	"errors"
)

const (
	frameHeader = 2
	maxFrame    = maxDatagram // a packet is not longer, however it comes
)

var (
	errFrameShort = errors.New("media: frame is not whole")
	errFrameLong  = errors.New("media: frame is longer than any packet")
)

// cutFrame splits the first packet off a TCP stream (RFC 4571 §2): errFrameShort where more bytes have to come,
// errFrameLong where the stream is not one of packets.
//
//	| length | packet …
//	|   2    |
func cutFrame(p []byte) (packet, rest []byte, err error) {
	if len(p) < frameHeader {
		return nil, p, errFrameShort
	}
	end := frameHeader + int(binary.BigEndian.Uint16(p))
	switch {
	case end > frameHeader+maxFrame:
		return nil, p, errFrameLong
	case end > len(p):
		return nil, p, errFrameShort
	}
	return p[frameHeader:end], p[end:], nil
}

// appendFrame adds a packet in its frame. The packet is not longer than 65535 bytes.
func appendFrame(to, packet []byte) []byte {
	to = binary.BigEndian.AppendUint16(to, uint16(len(packet)))
	return append(to, packet...)
}

// FramesBegin tells by a TCP connection's first byte whether it is for ServeTCP: the length of a frame (RFC 4571) begins
// neither a TLS record (20 and up) nor a line of HTTP.
func FramesBegin(first byte) bool { return first <= maxFrame>>8 }
