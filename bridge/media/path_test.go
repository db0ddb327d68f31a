package media

import (
	"encoding/binary"
	"testing"
	"time"
)

func rtpPacket(ssrc uint32, sequence uint16, timestamp uint32) []byte {
	p := make([]byte, rtpMin+4)
	p[0] = rtpVersion
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[4:], timestamp)
	binary.BigEndian.PutUint32(p[8:], ssrc)
	return p
}

// Whoever sends, one stream leaves: one SSRC, sequence numbers without a gap, timestamps that go with the clock.
func TestPathStaysOneStream(t *testing.T) {
	const frame = int64(20 * time.Millisecond)
	var out path
	var now int64
	sequence, timestamp := uint16(65533), uint32(1<<32-320)
	for i, source := range []uint32{7, 7, 7, 9, 9, 9, 9, 7, 7, 11} {
		in := rtpPacket(source, uint16(1000*source)+uint16(i), 5000*source+uint32(i)*160)
		if i < 3 { // the first source's own numbers pass as they are
			in = rtpPacket(source, sequence, timestamp)
		}
		if reason := out.pass(in, now, 8000); reason != dropNone {
			t.Fatalf("packet %d did not pass", i)
		}
		if rtpSSRC(in) != 7 || rtpSequence(in) != sequence || rtpTimestamp(in) != timestamp {
			t.Errorf("packet %d leaves as %d %d %d, want 7 %d %d", i, rtpSSRC(in), rtpSequence(in), rtpTimestamp(in), sequence, timestamp)
		}
		changed := i > 0 && (i == 3 || i == 7 || i == 9)
		if marked := in[1]&rtpMarkerBit != 0; marked != changed {
			t.Errorf("packet %d: marker %v", i, marked)
		}
		now += frame
		sequence++
		timestamp += 160
	}
}
