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

// journey is a stream on its way through reception and path, as the relay takes it.
type journey struct {
	in   reception
	out  path
	now  int64
	left map[uint64][]byte // by SSRC and extended sequence number: what left
	high uint32
	any  bool
}

func newJourney() *journey {
	j := &journey{left: map[uint64][]byte{}}
	j.in.setClock(8000)
	return j
}

func (j *journey) send(t *testing.T, p []byte, skip bool) DropReason {
	t.Helper()
	j.now += int64(20 * time.Millisecond)
	reason, turned := j.in.take(p, j.now)
	if reason != dropNone {
		return reason
	}
	if turned {
		j.out.settled = false
	}
	if skip {
		j.out.skip(p)
		return DropPayload
	}
	if reason = j.out.pass(p, j.now, 8000); reason == dropNone {
		j.leave(t, rtpSequence(p), p[rtpMin:])
	}
	return reason
}

// leave checks that no sequence number leaves twice.
func (j *journey) leave(t *testing.T, sequence uint16, what []byte) {
	t.Helper()
	if !j.any {
		j.any, j.high = true, 1<<20|uint32(sequence)
	}
	extended := j.high + uint32(int32(int16(sequence-uint16(j.high))))
	if int32(extended-j.high) > 0 {
		j.high = extended
	}
	key := uint64(j.out.ssrc)<<32 | uint64(extended)
	if _, twice := j.left[key]; twice {
		t.Fatalf("sequence number %d leaves twice", extended)
	}
	j.left[key] = what
}

func TestPathAroundASwitch(t *testing.T) {
	j := newJourney()
	for i := range 10 {
		j.send(t, rtpPacket(1, uint16(100+i), uint32(i)*160), false)
	}
	first := j.out.sequence
	if got := j.send(t, rtpPacket(2, 501, 9000), false); got != dropNone || j.out.sequence != first+1 {
		t.Fatalf("the new source's first: %v, leaves as %d after %d", got, j.out.sequence, first)
	}
	if got := j.send(t, rtpPacket(1, 110, 1600), false); got != DropSSRC {
		t.Errorf("the old source's last, overtaken: %v", got)
	}
	if got := j.send(t, rtpPacket(2, 500, 8840), false); got != DropLate {
		t.Errorf("the new source's very first, overtaken: %v", got)
	}
	for i := range 5 {
		if got := j.send(t, rtpPacket(2, uint16(502+i), uint32(9160+i*160)), false); got != dropNone {
			t.Errorf("the new source's packet %d: %v", i, got)
		}
	}
	if j.out.sequence != first+6 {
		t.Errorf("%d packets left, want 6", j.out.sequence-first)
	}
}

func TestPathClosesGaps(t *testing.T) {
	j := newJourney()
	for i := range 6 {
		j.send(t, rtpPacket(1, uint16(i), 0), false)
	}
	at := j.out.sequence
	j.send(t, rtpPacket(1, 6, 0), true) // left out, as the next two
	j.send(t, rtpPacket(1, 7, 0), true)
	j.send(t, rtpPacket(1, 9, 0), true)
	if got := j.send(t, rtpPacket(1, 8, 0), false); got != DropLate {
		t.Errorf("from between what was left out: %v", got)
	}
	p := rtpPacket(1, 10, 0)
	if got := j.send(t, p, false); got != dropNone || rtpSequence(p) != at+2 || p[1]&rtpMarkerBit == 0 {
		t.Errorf("behind: %v, leaves as %d after %d, marker %x", got, rtpSequence(p), at, p[1])
	}
	j.leave(t, j.out.insert(0, j.now), nil)
	if got := j.out.sequence; got != at+3 {
		t.Errorf("ours leaves as %d, want %d", got, at+3)
	}
	p = rtpPacket(1, 11, 0)
	if j.send(t, p, false); rtpSequence(p) != at+4 {
		t.Errorf("behind ours: %d, want %d", rtpSequence(p), at+4)
	}
	if s, ok := j.out.origin(at + 4); !ok || s != 11 {
		t.Errorf("%d was %d, %v; want 11", at+4, s, ok)
	}
	if s, ok := j.out.origin(at + 3); ok {
		t.Errorf("ours is taken for the source's %d", s)
	}
}

// A stream of days: sequence numbers wrap again and again, with something left out now and then.
func TestPathOfDays(t *testing.T) {
	t.Parallel()
	j := newJourney()
	want := uint16(0)
	for i := range 400_000 {
		skip := i%70_001 == 70_000
		p := rtpPacket(1, uint16(i), uint32(i)*160)
		got := j.send(t, p, skip)
		if skip {
			continue
		}
		if got != dropNone || rtpSequence(p) != want {
			t.Fatalf("packet %d: %v, leaves as %d, want %d", i, got, rtpSequence(p), want)
		}
		want++
	}
}

func TestRestartIsFollowed(t *testing.T) {
	j := newJourney()
	for i := range 10 {
		j.send(t, rtpPacket(1, uint16(20000+i), 7_000_000+uint32(i)*160), false)
	}
	at, stamp := j.out.sequence, j.out.timestamp
	if got := j.send(t, rtpPacket(1, 100, 0), false); got != DropLate { // it may be a stray (RFC 3550 §A.1)
		t.Fatalf("the first far behind: %v", got)
	}
	for i := range 5 {
		p := rtpPacket(1, uint16(101+i), uint32(i+1)*160)
		if got := j.send(t, p, false); got != dropNone || rtpSequence(p) != at+1+uint16(i) || rtpTimestamp(p) != stamp+320+uint32(i)*160 {
			t.Fatalf("packet %d after the restart: %v, leaves as %d %d", i, got, rtpSequence(p)-at, rtpTimestamp(p)-stamp)
		}
	}
}

// FuzzPath lets anything come in any order: no sequence number may leave twice, for SRTP would use a nonce twice.
func FuzzPath(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 2, 1, 1, 64, 0, 128, 3, 0, 200, 0, 255, 9})
	f.Add([]byte{10, 1, 11, 11, 1, 12, 12, 1, 2, 3, 4, 5, 6, 7, 8, 90, 91, 92})
	f.Fuzz(func(t *testing.T, program []byte) {
		j := newJourney()
		sequence := [2]uint16{10, 65530}
		source := 0
		for i, op := range program {
			switch op % 13 {
			case 0, 1, 2, 3, 4: // on
				sequence[source]++
			case 5:
				sequence[source] += 3
			case 6:
				sequence[source] -= uint16(op / 13)
			case 7:
				source = 1 - source
			case 8:
				sequence[source] += 700 * uint16(op/13)
			case 9:
				sequence[source] ^= 0x8000
			case 10:
				j.out.muted = !j.out.muted
			case 11:
				if !j.out.started {
					j.out.invent(j.now)
				}
				j.leave(t, j.out.insert(0, j.now), nil)
				continue
			}
			j.send(t, rtpPacket(uint32(source+1), sequence[source], uint32(i)*160), op%13 == 12)
		}
	})
}
