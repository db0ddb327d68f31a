package media

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// path is one stream in one direction, as it leaves us. Its SSRC, sequence numbers and timestamps stay one stream for the
// life of the relay, whoever sends: PBXs change their SSRC at hold, transfer and the end of early media, and a browser whose
// SDP announces no SSRC plays only the first that it hears.
type path struct {
	started   bool
	muted     bool   // a digit plays instead
	source    uint32 // SSRC with which the packets come now
	ssrc      uint32 // with which they leave: the first source's
	offset    uint16 // added to sequence numbers
	shift     uint32 // added to timestamps
	sequence  uint16 // highest that left
	timestamp uint32 // of that packet
	at        int64  // when it left
}

// pass renumbers a packet that leaves at a time, with timestamps of a clock in Hz; false where a digit plays in its stead.
func (t *path) pass(p []byte, now int64, clock int) bool {
	source, sequence := rtpSSRC(p), rtpSequence(p)
	switch {
	case !t.started:
		*t = path{started: true, muted: t.muted, source: source, ssrc: source, sequence: sequence - 1, timestamp: rtpTimestamp(p), at: now}
	case source != t.source:
		t.follow(p, now, clock)
	}
	if t.muted {
		t.offset-- // the gap closes behind it
		return false
	}
	sequence += t.offset
	timestamp := rtpTimestamp(p) + t.shift
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[4:], timestamp)
	binary.BigEndian.PutUint32(p[8:], t.ssrc)
	if int16(sequence-t.sequence) > 0 {
		t.sequence, t.timestamp, t.at = sequence, timestamp, now
	}
	return true
}

// skip closes the gap of a packet that goes no further.
func (t *path) skip(p []byte) {
	if t.started && t.source == rtpSSRC(p) {
		t.offset--
	}
}

// follow lets another source go on where the stream stands, as the beginning of a talkspurt (RFC 3551 §4.1).
func (t *path) follow(p []byte, now int64, clock int) {
	t.source = rtpSSRC(p)
	t.offset = t.sequence + 1 - rtpSequence(p)
	t.shift = t.present(now, clock) - rtpTimestamp(p)
	p[1] |= rtpMarkerBit
}

// present is the timestamp of the moment.
func (t *path) present(now int64, clock int) uint32 {
	return t.timestamp + uint32((now-t.at)*int64(clock)/int64(time.Second))
}

// invent starts a stream that nobody sends, so that a digit has one to stand in; a real source goes on with it.
func (t *path) invent(now int64) {
	ssrc := rand.Uint32()
	*t = path{started: true, source: ssrc, ssrc: ssrc, sequence: uint16(rand.Uint32()), timestamp: rand.Uint32(), at: now}
}
