package media

import (
	"encoding/binary"
	"math/bits"
	"time"
)

const (
	maxDropout   = 3000 // a jump ahead from which on the source began anew (RFC 3550 §A.1)
	windowSize   = 512  // sequence numbers behind the highest that may still come; a power of two
	maxTransit   = 5    // s: a change of transit time above it is a new timeline, no jitter
	incumbent    = 2    // packets with which a displaced source proves that it goes on
	contestSpell = int64(10 * time.Second)
)

// reception is one stream as it comes from a leg's peer: which source is heard, what of it is lost, and its jitter
// (RFC 3550 §6.4.1, §A.3, §A.8). Owned by the leg's worker.
type reception struct {
	heard    bool
	watch    bool   // who is heard is in question: see source.go
	stray    bool   // the packet before was far behind
	rate     uint64 // of the RTP clock, in 2^-64 ticks a nanosecond
	limit    uint32 // of what is jitter, in ticks
	ssrc     uint32
	base     uint32 // extended sequence number of the source's first packet
	highest  uint32 // the same of the highest so far
	strayed  uint16 // sequence number that would follow a stray
	packets  uint32 // of the source, each once
	stamp    uint32 // the latest timestamp
	transit  uint32 // its arrival less it
	jitter   uint32 // in 1/16 ticks
	at       int64  // latest packet
	window   [windowSize / 64]uint64
	earlier  reckoning // of the sources before
	gaps     uint32    // runs of lost packets
	gapSize  uint32    // packets in them
	contest  contest
	reported reckoning // as of the latest report
	sender   senderClock
}

// reckoning counts packets.
type reckoning struct{ expected, received uint32 }

func (a reckoning) minus(b reckoning) reckoning {
	return reckoning{a.expected - b.expected, a.received - b.received}
}

// lost is never below zero: what came late is counted with the next reckoning.
func (a reckoning) lost() uint32 {
	if a.received >= a.expected {
		return 0
	}
	return a.expected - a.received
}

// senderClock is what a source said of its clock.
type senderClock struct {
	ntp   uint64 // 32.32 seconds since 1900; 0: none
	stamp uint32
	at    int64
}

// setClock takes the RTP clock in Hz over.
func (r *reception) setClock(hz int) {
	if hz > 0 {
		rate, _ := bits.Div64(uint64(hz), 0, uint64(time.Second))
		if rate != r.rate {
			r.rate, r.limit, r.transit, r.jitter = rate, uint32(maxTransit*hz), 0, 0
		}
	}
}

// ticks is a time in units of the RTP clock.
func (r *reception) ticks(now int64) uint32 {
	hi, _ := bits.Mul64(uint64(now), r.rate)
	return uint32(hi)
}

// take counts a packet in. turned says that from here on a stream begins anew: another source, or a restart of the same.
func (r *reception) take(p []byte, now int64) (reason DropReason, turned bool) {
	if ssrc := rtpSSRC(p); ssrc != r.ssrc || r.watch || !r.heard {
		before := r.ssrc
		if reason = r.arbitrate(ssrc, now); reason != dropNone {
			return reason, false
		}
		if !r.heard || ssrc != before {
			r.begin(p, now)
			return dropNone, true
		}
	}
	sequence := rtpSequence(p)
	delta := int16(sequence - uint16(r.highest))
	switch {
	case delta == 1:
		r.highest++
		r.mark(sequence)
	case delta > 1 && delta < maxDropout:
		r.skipTo(delta)
	case delta <= 0 && delta > -windowSize:
		if r.marked(sequence) {
			return DropDuplicate, false
		}
		r.fill(sequence)
		r.at = now
		return dropNone, false
	case delta < 0 && !(r.stray && sequence == r.strayed):
		r.stray, r.strayed = true, sequence+1
		return DropLate, false
	default:
		r.begin(p, now)
		return dropNone, true
	}
	r.stray = false
	r.packets++
	r.at = now
	if stamp := rtpTimestamp(p); stamp != r.stamp { // packets of one frame, and of one event, share theirs
		r.measure(stamp, now)
	}
	return dropNone, false
}

// measure is RFC 3550 §A.8.
func (r *reception) measure(stamp uint32, now int64) {
	transit := r.ticks(now) - stamp
	d := int32(transit - r.transit)
	r.stamp, r.transit = stamp, transit
	if d < 0 {
		d = -d
	}
	if uint32(d) <= r.limit {
		r.jitter += uint32(d) - (r.jitter+8)>>4
	}
}

// begin starts the count of a source with its first packet.
func (r *reception) begin(p []byte, now int64) {
	r.earlier = r.total()
	sequence := rtpSequence(p)
	r.heard, r.stray, r.ssrc = true, false, rtpSSRC(p)
	r.base, r.highest, r.packets = uint32(sequence), uint32(sequence), 1
	r.stamp = rtpTimestamp(p)
	r.transit = r.ticks(now) - r.stamp
	r.at = now
	for i := range r.window {
		r.window[i] = 0
	}
	r.mark(sequence)
	if r.sender.ntp != 0 {
		r.sender = senderClock{}
	}
}

// skipTo goes on behind a gap.
func (r *reception) skipTo(delta int16) {
	for range delta - 1 {
		r.highest++
		i := r.highest & (windowSize - 1)
		r.window[i>>6] &^= 1 << (i & 63)
	}
	r.gaps++
	r.gapSize += uint32(delta - 1)
	r.highest++
	r.mark(uint16(r.highest))
}

// fill takes a packet that comes late.
func (r *reception) fill(sequence uint16) {
	r.mark(sequence)
	r.packets++
	if behind := uint16(r.highest) - sequence; uint32(behind) > r.highest-r.base {
		r.base = r.highest - uint32(behind) // from before the first
		return
	}
	if r.gapSize > 0 {
		r.gapSize--
	}
}

func (r *reception) mark(sequence uint16) {
	i := sequence & (windowSize - 1)
	r.window[i>>6] |= 1 << (i & 63)
}

func (r *reception) marked(sequence uint16) bool {
	i := sequence & (windowSize - 1)
	return r.window[i>>6]&(1<<(i&63)) != 0
}

// has says whether a packet came, as far back as is known.
func (r *reception) has(sequence uint16) bool {
	behind := int16(uint16(r.highest) - sequence)
	return behind >= 0 && (behind >= windowSize || r.marked(sequence))
}

// total counts all sources.
func (r *reception) total() reckoning {
	if !r.heard {
		return r.earlier
	}
	return reckoning{r.earlier.expected + r.highest - r.base + 1, r.earlier.received + r.packets}
}

// report writes a report block of the source (RFC 3550 §6.4.1).
//
//	|                 SSRC_1 (SSRC of first source)                 |
//	| fraction lost |       cumulative number of packets lost       |
//	|           extended highest sequence number received           |
//	|                      interarrival jitter                      |
//	|                         last SR (LSR)                         |
//	|                   delay since last SR (DLSR)                  |
func (r *reception) report(b []byte, now int64) {
	total := r.total()
	span := total.minus(r.reported)
	r.reported = total
	fraction := uint32(0)
	if span.expected > 0 {
		fraction = min(span.lost()<<8/span.expected, 255)
	}
	own := total.minus(r.earlier)
	lost := max(-1<<23, min(1<<23-1, int32(own.expected-own.received)))
	be := binary.BigEndian
	be.PutUint32(b, r.ssrc)
	be.PutUint32(b[4:], fraction<<24|uint32(lost)&0xffffff)
	be.PutUint32(b[8:], r.highest)
	be.PutUint32(b[12:], r.jitter>>4)
	be.PutUint32(b[16:], uint32(r.sender.ntp>>16))
	delay := uint32(0)
	if r.sender.ntp != 0 {
		delay = uint32(uint64(now-r.sender.at) << 16 / uint64(time.Second))
	}
	be.PutUint32(b[20:], delay)
}
