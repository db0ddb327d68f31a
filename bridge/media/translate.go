package media

import "encoding/binary"

// RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1).
const (
	rtcpSR    = 200
	rtcpRR    = 201
	rtcpBYE   = 203
	rtcpRTPFB = 205
	rtcpPSFB  = 206

	srSize     = 28 // header, sender, NTP, RTP timestamp, counts
	rrSize     = 8
	reportSize = 24
)

// translateRTCP rewrites a valid compound packet in place: what its sender says of its own stream is said of ours, what it
// reports of ours is reported of the source behind. BYE goes no further, for a source that changes is no stream that ends.
// The result is shorter or empty then.
func translateRTCP(p []byte, own, reported *path) []byte {
	kept := 0
	for rest := p; len(rest) > 0; {
		size := 4 + 4*int(binary.BigEndian.Uint16(rest[2:]))
		packet := rest[:size]
		rest = rest[size:]
		if packet[1] == rtcpBYE {
			continue
		}
		translatePacket(packet, own, reported)
		kept += copy(p[kept:], packet)
	}
	return p[:kept]
}

func translatePacket(p []byte, own, reported *path) {
	if len(p) < rtcpMin {
		return
	}
	fromSource := own.replace(p[4:])
	switch p[1] {
	case rtcpSR:
		if len(p) < srSize {
			return
		}
		if fromSource {
			binary.BigEndian.PutUint32(p[16:], binary.BigEndian.Uint32(p[16:])+own.shift)
		}
		reported.translateReports(p[srSize:], int(p[0]&0x1f))
	case rtcpRR:
		reported.translateReports(p[rrSize:], int(p[0]&0x1f))
	case rtcpRTPFB, rtcpPSFB:
		if len(p) >= 12 {
			reported.restore(p[8:])
		}
	}
}

// replace puts our SSRC in the place of the source's.
func (t *path) replace(field []byte) bool {
	if !t.started || binary.BigEndian.Uint32(field) != t.source {
		return false
	}
	binary.BigEndian.PutUint32(field, t.ssrc)
	return true
}

// restore puts the source's SSRC in the place of ours.
func (t *path) restore(field []byte) bool {
	if !t.started || binary.BigEndian.Uint32(field) != t.ssrc {
		return false
	}
	binary.BigEndian.PutUint32(field, t.source)
	return true
}

// translateReports rewrites report blocks: SSRC and highest sequence number (RFC 3550 §6.4.1).
func (t *path) translateReports(blocks []byte, count int) {
	for ; count > 0 && len(blocks) >= reportSize; count-- {
		if t.restore(blocks) {
			low := binary.BigEndian.Uint16(blocks[10:])
			binary.BigEndian.PutUint16(blocks[10:], low-t.offset)
		}
		blocks = blocks[reportSize:]
	}
}
