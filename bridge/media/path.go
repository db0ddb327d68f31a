package media

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// path is one stream as it leaves towards a leg's peer. Its SSRC, sequence numbers and timestamps stay one stream for the
// life of the leg, whoever sends: PBXs change their SSRC at hold, transfer and the end of early media, and a browser whose
// SDP announces no SSRC plays only the first that it hears. No sequence number leaves twice, whatever comes: SRTP would use a
// nonce twice (RFC 7714 §8.1).
type path struct {
	started   bool
	settled   bool   // the source is known; else the next packet's is followed, be it the same
	muted     bool   // a digit plays instead
	framed    bool   // video: the marker ends a frame, and stays as it is
	restored  bool   // nothing has left since it was written down
	paused    bool   // something was left out: the next packet begins a talkspurt
	source    uint32 // SSRC with which the packets come now
	ssrc      uint32 // with which they leave: the first source's
	shift     uint32 // added to timestamps
	now       span   // how the source's sequence numbers are mapped
	before    span   // how they were, for what comes late
	last      uint16 // the source's highest
	sequence  uint16 // highest that left
	timestamp uint32 // of that packet
	frame     uint32 // timestamps between two packets
	at        int64  // when it left
}

// span maps the source's sequence numbers from from up to until.
type span struct {
	known       bool
	from, until uint16
	offset      uint16
}

// maxSpan is how far numbers are from the beginning of a span at most, well below where they would seem to lie before it.
const maxSpan = 1 << 14

func (s *span) has(sequence uint16) bool {
	return s.known && int16(sequence-s.from) >= 0 && int16(sequence-s.until) < 0
}

// pass renumbers a packet that leaves at a time, with timestamps of a clock in Hz.
func (t *path) pass(p []byte, now int64, clock int) DropReason {
	source, sequence := rtpSSRC(p), rtpSequence(p)
	if source != t.source || !t.settled {
		t.turn(p, now, clock)
	}
	if t.muted {
		t.skip(p)
		return DropDigit
	}
	offset := t.now.offset
	if age := int16(sequence - t.now.from); age < 0 {
		if !t.before.has(sequence) {
			return DropLate
		}
		offset = t.before.offset
	} else if age > maxSpan {
		t.now.from, t.before = sequence-windowSize, span{}
	}
	if int16(sequence-t.last) > 0 {
		t.last = sequence
	}
	sequence += offset
	timestamp := rtpTimestamp(p) + t.shift
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[4:], timestamp)
	binary.BigEndian.PutUint32(p[8:], t.ssrc)
	if delta := int16(sequence - t.sequence); delta > 0 {
		if step := timestamp - t.timestamp; delta == 1 && step-1 < uint32(clock) {
			t.frame = step
		}
		t.sequence, t.timestamp, t.at = sequence, timestamp, now
		if t.paused {
			t.paused = false
			t.markBegin(p)
		}
	}
	return dropNone
}

// markBegin marks the beginning of a talkspurt (RFC 3551 §4.1).
func (t *path) markBegin(p []byte) {
	if !t.framed {
		p[1] |= rtpMarkerBit
	}
}

// turn lets a source begin, or go on where the stream stands.
func (t *path) turn(p []byte, now int64, clock int) {
	sequence := rtpSequence(p)
	if t.restored && t.resume(p) {
		return
	}
	t.source, t.settled = rtpSSRC(p), true
	if !t.started {
		t.started, t.ssrc, t.shift = true, t.source, 0
		t.now = span{from: sequence - windowSize} // the first may have been overtaken
		t.before = span{}
		t.sequence, t.last, t.timestamp, t.at = sequence-1, sequence-1, rtpTimestamp(p), now
		return
	}
	t.now = span{from: sequence, offset: t.sequence + 1 - sequence}
	t.before = span{}
	t.last = sequence - 1
	t.shift = t.next(now, clock) - rtpTimestamp(p)
	t.paused = true
}

// present is the timestamp of the moment.
func (t *path) present(now int64, clock int) uint32 {
	return t.timestamp + uint32((now-t.at)*int64(clock)/int64(time.Second))
}

// next is the timestamp of another source's packet that leaves now: never within the frame that left last.
func (t *path) next(now int64, clock int) uint32 {
	stamp := t.present(now, clock)
	if stamp-t.timestamp < t.frame {
		return t.timestamp + t.frame
	}
	return stamp
}

// skip leaves a packet out and closes the gap behind it.
func (t *path) skip(p []byte) {
	sequence := rtpSequence(p)
	if !t.started || !t.settled || rtpSSRC(p) != t.source || int16(sequence-t.last) <= 0 || int16(sequence-t.now.from) < 0 {
		return
	}
	t.remap(sequence, sequence+1, t.now.offset-1)
	t.last = sequence
	t.paused = true
}

// insert takes the next sequence number for a packet of our own, with that timestamp: the one that the source's next packet
// would have had, for those before it may still be taken by what comes late.
func (t *path) insert(timestamp uint32, now int64) uint16 {
	if t.restored {
		t.leap()
	}
	t.sequence++
	if t.settled {
		t.sequence = t.last + 1 + t.now.offset
		t.remap(t.last+1, t.last+1, t.now.offset+1)
	}
	t.timestamp, t.at = timestamp, now
	return t.sequence
}

// remap changes the offset from a sequence number on; those from until on, if any, are left out.
func (t *path) remap(until, from, offset uint16) {
	if int16(t.last-t.now.from) >= 0 { // something has left by the mapping of now
		t.before = span{known: true, from: t.now.from, until: until, offset: t.now.offset}
	}
	t.now = span{from: from, offset: offset}
}

// invent starts a stream that nobody sends, so that something of our own has one to stand in; a real source goes on with it.
func (t *path) invent(now int64) {
	*t = path{
		started: true, framed: t.framed, ssrc: rand.Uint32(),
		sequence: uint16(rand.Uint32()), timestamp: rand.Uint32(), at: now,
	}
}

// origin is the source's number of a packet that left; false where it is not known any more, or was our own.
func (t *path) origin(sequence uint16) (uint16, bool) {
	if !t.settled {
		return 0, false
	}
	if s := sequence - t.now.offset; int16(s-t.now.from) >= 0 {
		return s, true
	}
	s := sequence - t.before.offset
	return s, t.before.has(s)
}
