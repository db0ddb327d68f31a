package media

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"tandem/bridge/sdp"
)

// RTCP ends at us: each leg has reports of its own about what happens on it. They are sent for all legs of a worker from its
// one deadline, a few legs at a time, so that thousands of legs make no burst.
const (
	reportLeast = int64(2 * time.Second) // RFC 3550 §6.2 with the reduced minimum that RFC 4585 §3.4 allows, randomised
	reportSpan  = int64(3 * time.Second)
	reportFirst = int64(time.Second) // the first comes sooner
	reportRound = int64(500 * time.Millisecond)
	reportSteps = int64(10 * time.Millisecond)
	ntpHalf     = 1 << 31 // half a second
	sdesCNAME   = 1
	sdesSize    = 8 + 2 + nameSize + 2 // with the null that ends the chunk, padded
	rtcpBuffers = 16
	rtcpRoom    = 1400 // of one packet
)

// reporter is a worker's round through its legs.
type reporter struct {
	at      int64 // next step; 0: none
	cursor  int
	buffers [rtcpBuffers][rtcpRoom + tagRoom]byte
	next    int
}

// rtcpBuffer is memory for one packet, until the outbox is flushed.
func (w *worker) rtcpBuffer() []byte {
	r := &w.reporter
	if r.next == rtcpBuffers {
		w.out.flush(w)
		r.next = 0
	}
	b := r.buffers[r.next][:]
	r.next++
	return b
}

// report goes on with the round.
func (w *worker) report() {
	r := &w.reporter
	count := len(w.legs)
	if count == 0 {
		r.at = 0
		return
	}
	step := max(reportSteps, reportRound/int64(count))
	for range (int64(count)*step + reportRound - 1) / reportRound {
		if r.cursor >= len(w.legs) {
			r.cursor = 0
		}
		l := w.legs[r.cursor]
		r.cursor++
		if l.relay != nil && w.clock >= l.reportAt {
			w.reportOne(l)
		}
	}
	r.at = w.clock + step
}

func (w *worker) reportOne(l *Leg) {
	w.current = l
	defer w.contain()
	l.reportAt = w.clock + reportLeast + rand.Int64N(reportSpan)
	if l.failed == "" {
		for i := range l.relay.plan.Streams {
			l.reportStream(w, i)
		}
	}
	l.publish()
	w.current = nil
}

// reportStream sends a report of one stream to the leg's peer, where it can be reached.
func (l *Leg) reportStream(w *worker, stream int) {
	if !l.takesRTCP(stream) {
		return
	}
	t := &l.tracks[stream]
	if !t.in.heard && !t.out.started {
		return
	}
	b := w.rtcpBuffer()
	n := l.writeReport(w, stream, b)
	n += writeSDES(b[n:], t.ssrc(), &l.cname)
	l.sendRTCP(w, stream, b[:n])
}

// takesRTCP says whether RTCP can reach the leg's peer.
func (l *Leg) takesRTCP(stream int) bool { return l.controls(stream) != nil }

// writeReport writes a sender report where something has left since the last, else a receiver report.
//
//	|V=2|P|    RC   |   PT=SR=200   |             length            |
//	|                         SSRC of sender                        |
//	|              NTP timestamp, most significant word             |
//	|             NTP timestamp, least significant word             |
//	|                         RTP timestamp                         |
//	|                     sender's packet count                     |
//	|                      sender's octet count                     |
func (l *Leg) writeReport(w *worker, stream int, b []byte) int {
	t := &l.tracks[stream]
	be := binary.BigEndian
	kind, size := byte(rtcpRR), rrSize
	if t.sent.packets != t.sent.reported {
		kind, size = rtcpSR, srSize
		t.sent.reported = t.sent.packets
		now := w.ntp()
		be.PutUint64(b[8:], now)
		be.PutUint32(b[16:], l.timestampAt(w, stream, now))
		be.PutUint32(b[20:], t.sent.packets)
		be.PutUint32(b[24:], t.sent.octets)
	}
	b[0], b[1] = rtpVersion, kind
	be.PutUint32(b[4:], t.ssrc())
	if t.in.heard && t.in.total().received != t.in.reported.received {
		t.in.report(b[size:], w.clock)
		size += reportSize
		b[0] |= 1
	}
	be.PutUint16(b[2:], uint16(size/4-1))
	return size
}

// timestampAt is the RTP timestamp of a moment in a stream that leaves: by the source's own report where it sends them, so
// that the streams of one source stay together (RFC 3550 §6.4.1), else by our clock.
func (l *Leg) timestampAt(w *worker, stream int, at uint64) uint32 {
	planned := &l.relay.plan.Streams[stream]
	clock := planned.Codec[l.side].Clock
	out := &l.tracks[stream].out
	own := out.present(w.clock, clock)
	far := l.relay.legs[1-l.side]
	said := &far.tracks[stream].in.sender
	if said.ntp == 0 || planned.Transcode || planned.Codec[1-l.side].Clock != clock || !out.settled {
		return own
	}
	mapped := said.stamp + out.shift + uint32(scaled(int64(at-far.skew-said.ntp), clock))
	if d := int32(mapped - own); int64(d) > maxTransit*int64(clock) || int64(d) < -maxTransit*int64(clock) {
		return own // such reports mean nothing
	}
	return mapped
}

// heardSender takes a peer's sender report.
func (l *Leg) heardSender(w *worker, p []byte) {
	be := binary.BigEndian
	_, t := l.heardTrack(be.Uint32(p[4:]))
	if t == nil {
		return
	}
	said := senderClock{ntp: be.Uint64(p[8:]), stamp: be.Uint32(p[16:]), at: w.clock}
	t.in.sender = said
	if said.ntp == 0 {
		return
	}
	// The clocks of a peer's streams are one; its offset from ours is smoothed, for packets take their time.
	off := w.ntp() - said.ntp
	if d := int64(off - l.skew); d > ntpHalf || d < -ntpHalf {
		l.skew = off
	} else {
		l.skew += uint64(d / 16)
	}
}

// heardReports takes what a peer reports of what it gets from us.
func (l *Leg) heardReports(w *worker, blocks []byte, count int) {
	be := binary.BigEndian
	for ; count > 0 && len(blocks) >= reportSize; count-- {
		b := blocks[:reportSize]
		blocks = blocks[reportSize:]
		stream, t := l.sentTrack(be.Uint32(b))
		if t == nil {
			continue
		}
		if stream == sdp.Audio && l.relay != nil && l.relay.converter != nil {
			l.relay.converter.loss[l.side].Store(int32(b[4]) * 100 / 256)
		}
		r := &t.remote
		r.count(be.Uint32(b[8:]), int32(be.Uint32(b[4:])<<8)>>8, t.sent.packets)
		r.jitter = be.Uint32(b[12:])
		if since := be.Uint32(b[16:]); since != 0 {
			r.measure(uint32(w.ntp()>>16) - since - be.Uint32(b[20:]))
		}
	}
}

// count takes the highest sequence number and the cumulative loss of a report; sent is what has left in all.
func (r *remote) count(highest uint32, lost int32, sent uint32) {
	span, missed := highest-r.highest, lost-r.lost
	switch {
	case r.reports == 0:
		span, missed = sent, max(lost, 0)
	case int32(span) < 0 || span > sent || missed < -windowSize:
		span, missed = 0, 0 // another receiver, which counts anew
	}
	r.reports++
	r.highest, r.lost = highest, lost
	r.total.expected += span
	r.total.received += span - uint32(missed)
}

// measure takes a round trip in 1/65536 s (RFC 3550 §6.4.1).
func (r *remote) measure(trip uint32) {
	const grain, most = 65536 / 1000, 30 * 65536
	if int32(trip) < 0 && int32(trip) > -grain {
		trip = 0
	}
	if trip > most {
		return
	}
	ns := max(1, int64(trip)*int64(time.Second)>>16)
	if r.trip == 0 {
		r.trip = ns
		return
	}
	r.trip += (ns - r.trip) / 4
}

// writeSDES writes the CNAME (RFC 3550 §6.5).
func writeSDES(b []byte, ssrc uint32, name *canonicalName) int {
	b[0], b[1] = rtpVersion|1, rtcpSDES
	binary.BigEndian.PutUint16(b[2:], uint16(sdesSize/4-1))
	binary.BigEndian.PutUint32(b[4:], ssrc)
	b[8], b[9] = sdesCNAME, byte(len(name))
	copy(b[10:], name[:])
	clear(b[10+len(name) : sdesSize])
	return sdesSize
}

// begin sets the first reports of a relay's legs.
func (w *worker) begin(r *relay) {
	for _, l := range r.legs {
		if at := w.clock + reportFirst/2 + rand.Int64N(reportFirst); l.reportAt == 0 || l.reportAt > at {
			l.reportAt = at
		}
	}
}
