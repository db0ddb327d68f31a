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
		if !out.pass(in, now, 8000) {
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

func TestTranslateRTCP(t *testing.T) {
	own := &path{started: true, source: 9, ssrc: 7, shift: 100}
	reported := &path{started: true, source: 21, ssrc: 20, offset: 3}
	report := make([]byte, srSize+reportSize)
	report[0], report[1] = rtpVersion|1, rtcpSR
	binary.BigEndian.PutUint16(report[2:], uint16(len(report)/4-1))
	binary.BigEndian.PutUint32(report[4:], 9)
	binary.BigEndian.PutUint32(report[16:], 1000)
	binary.BigEndian.PutUint32(report[srSize:], 20)
	binary.BigEndian.PutUint32(report[srSize+8:], 5<<16|10)
	bye := []byte{rtpVersion | 1, rtcpBYE, 0, 1, 0, 0, 0, 9}

	got := translateRTCP(append(append([]byte(nil), report...), bye...), own, reported)
	if len(got) != len(report) {
		t.Fatalf("%d bytes, want the report's %d without the BYE", len(got), len(report))
	}
	for _, f := range []struct {
		what string
		at   int
		want uint32
	}{{"sender", 4, 7}, {"RTP timestamp", 16, 1100}, {"reported source", srSize, 21}, {"highest sequence", srSize + 8, 5<<16 | 7}} {
		if v := binary.BigEndian.Uint32(got[f.at:]); v != f.want {
			t.Errorf("%s is %d, want %d", f.what, v, f.want)
		}
	}
	if rest := translateRTCP(append([]byte(nil), bye...), own, reported); len(rest) != 0 {
		t.Errorf("a BYE alone passes: %x", rest)
	}
}
