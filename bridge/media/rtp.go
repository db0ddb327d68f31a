package media

import "encoding/binary"

const (
	rtpMin       = 12
	rtpVersion   = 0x80
	rtpPadBit    = 0x20
	rtpExtBit    = 0x10
	rtpMarkerBit = 0x80
	rtcpMin      = 8
)

// rtpHeader gives the size of a packet's header with CSRCs and extension; false where it is no RTP (RFC 3550 §5.1, §5.3.1).
//
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	|                           timestamp                           |
//	|                             SSRC                              |
//	|                         CC times CSRC                         |
//	|  X: defined by profile        |  length in 32-bit words       | …
func rtpHeader(p []byte) (int, bool) {
	if len(p) < rtpMin || p[0]&0xC0 != rtpVersion {
		return 0, false
	}
	size := rtpMin + 4*int(p[0]&0x0F)
	if p[0]&rtpExtBit == 0 {
		return size, size <= len(p)
	}
	if size+4 > len(p) {
		return 0, false
	}
	size += 4 + 4*int(binary.BigEndian.Uint16(p[size+2:]))
	return size, size <= len(p)
}

// validPadding checks a plain packet's padding against its length (RFC 3550 §A.1). The header is known to be whole.
func validPadding(p []byte) bool {
	if p[0]&rtpPadBit == 0 {
		return true
	}
	size, ok := rtpHeader(p)
	pad := int(p[len(p)-1])
	return ok && pad > 0 && size+pad <= len(p)
}

func rtpSequence(p []byte) uint16  { return binary.BigEndian.Uint16(p[2:]) }
func rtpTimestamp(p []byte) uint32 { return binary.BigEndian.Uint32(p[4:]) }
func rtpSSRC(p []byte) uint32      { return binary.BigEndian.Uint32(p[8:]) }
