package media

import "encoding/binary"

const (
	historySize  = 128               // packets: most of a second of video
	resendPacket = int64(30_000_000) // ns: one packet is sent again at most so often
)

// history holds the latest packets that left in a stream, in the clear, for a peer that misses some. A source cannot be asked
// for them: it would repeat a packet that we have, and SRTP takes that for a replay. Made at a peer's first NACK.
type history struct {
	slots  [historySize]kept
	credit int // packets that may be sent again: as many as were sent, or a request would cost its peer many times its size
}

// kept is one packet; known while size is above zero.
type kept struct {
	size   int
	resent int64
	data   [rtcpRoom]byte
}

// keep remembers a packet that leaves.
func (h *history) keep(p []byte) {
	h.credit = min(h.credit+1, historySize)
	k := &h.slots[rtpSequence(p)%historySize]
	k.size, k.resent = 0, 0
	if len(p) <= len(k.data) {
		k.size = copy(k.data[:], p)
	}
}

// find gives a packet by its sequence number, nil where it is not kept any more.
func (h *history) find(sequence uint16) *kept {
	k := &h.slots[sequence%historySize]
	if k.size == 0 || rtpSequence(k.data[:]) != sequence {
		return nil
	}
	return k
}

// resend sends a packet once more, unless that is too often; false where it is not at hand.
func (l *Leg) resend(w *worker, stream int, sequence uint16) bool {
	h := l.tracks[stream].history
	if h == nil {
		return false
	}
	k := h.find(sequence)
	if k == nil {
		return false
	}
	if k.resent != 0 && w.clock-k.resent < resendPacket {
		return true
	}
	if h.credit == 0 {
		w.drop(l, DropFeedbackRate)
		return true
	}
	h.credit--
	k.resent = w.clock
	b := w.rtcpBuffer()
	l.transmit(w, stream, b[:copy(b, k.data[:k.size])])
	return true
}

// missing calls with each sequence number that a NACK's entry names (RFC 4585 §6.2.1).
//
//	|            PID                |             BLP               |
func missing(entry []byte, with func(uint16)) {
	first, more := binary.BigEndian.Uint16(entry), binary.BigEndian.Uint16(entry[2:])
	with(first)
	for i := range uint16(16) {
		if more>>i&1 != 0 {
			with(first + 1 + i)
		}
	}
}
