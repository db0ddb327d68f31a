package media

import (
	"encoding/binary"
	"time"

	"tandem/bridge/sdp"
)

// Feedback messages (RFC 4585 §6, RFC 5104 §4; REMB: draft-alvestrand-rmcat-remb).
//
//	|V=2|P|   FMT   |       PT      |          length               |
//	|                  SSRC of packet sender                        |
//	|                  SSRC of media source                         |
//	:            Feedback Control Information (FCI)                 :
const (
	feedbackMin    = 12
	fmtNACK        = 1
	fmtTransport   = 15
	fmtPLI         = 1
	fmtFIR         = 4
	fmtApplication = 15
	rembMark       = 0x52454d42 // "REMB"
	firSize        = feedbackMin + 8
	nackSize       = 4

	keyFrameEvery = int64(500 * time.Millisecond) // asked for at most, whoever asks
)

// receiveTransportFeedback takes NACK and transport-wide congestion control.
func (l *Leg) receiveTransportFeedback(w *worker, p []byte) {
	stream, t := l.sentTrack(binary.BigEndian.Uint32(p[8:]))
	if t == nil {
		w.drop(l, DropFeedback)
		return
	}
	far, wants := l.farFeedback(stream)
	switch format := p[0] & 0x1f; {
	case format == fmtNACK && l.negotiated(stream)&sdp.NACK != 0:
		l.receiveNACK(w, far, stream, p[feedbackMin:])
	case format == fmtTransport && wants&sdp.TransportCC != 0 && l.negotiated(stream)&sdp.TransportCC != 0:
		l.passFeedback(w, far, stream, p)
	default:
		w.drop(l, DropFeedback)
	}
}

// receivePayloadFeedback takes requests for a key frame and bandwidth estimates.
func (l *Leg) receivePayloadFeedback(w *worker, p []byte) {
	be := binary.BigEndian
	reason := DropFeedback
	switch format := p[0] & 0x1f; {
	case format == fmtPLI:
		reason = l.passKeyFrame(w, be.Uint32(p[8:]))
	case format == fmtFIR && len(p) >= firSize:
		reason = l.passKeyFrame(w, be.Uint32(p[feedbackMin:]))
	case format == fmtApplication && len(p) >= feedbackMin+12 && be.Uint32(p[feedbackMin:]) == rembMark:
		l.passREMB(w, p)
		return
	}
	if reason != dropNone {
		w.drop(l, reason)
	}
}

// passKeyFrame asks the other leg's peer for a key frame of what leaves with an SSRC.
func (l *Leg) passKeyFrame(w *worker, ssrc uint32) DropReason {
	stream, t := l.sentTrack(ssrc)
	if t == nil {
		return DropFeedback
	}
	return l.relay.legs[1-l.side].askKeyFrame(w, stream)
}

// negotiated is what the leg's stream negotiated.
func (l *Leg) negotiated(stream int) sdp.Feedback {
	return l.relay.plan.Streams[stream].Feedback[l.side]
}

// farFeedback is the other leg, and what its peer takes.
func (l *Leg) farFeedback(stream int) (*Leg, sdp.Feedback) {
	far := l.relay.legs[1-l.side]
	return far, far.negotiated(stream)
}

// askKeyFrame asks the leg's peer for a key frame, by PLI or FIR as it was negotiated, or says why not.
func (l *Leg) askKeyFrame(w *worker, stream int) DropReason {
	t := &l.tracks[stream]
	takes := l.negotiated(stream)
	if takes&(sdp.PLI|sdp.FIR) == 0 || !t.in.heard || !l.takesRTCP(stream) {
		return DropFeedback
	}
	if t.wanted != 0 && w.clock-t.wanted < keyFrameEvery {
		return DropFeedbackRate
	}
	t.wanted = w.clock
	b, n := l.beginFeedback(w, stream)
	be := binary.BigEndian
	f := b[n:]
	be.PutUint32(f[8:], t.in.ssrc)
	if takes&sdp.PLI != 0 {
		n += endFeedback(f, rtcpPSFB, fmtPLI, t.ssrc(), feedbackMin)
	} else {
		t.firs++
		be.PutUint32(f[8:], 0)
		be.PutUint32(f[12:], t.in.ssrc)
		be.PutUint32(f[16:], uint32(t.firs)<<24)
		n += endFeedback(f, rtcpPSFB, fmtFIR, t.ssrc(), firSize)
	}
	l.sendRTCP(w, stream, b[:n])
	return dropNone
}

// beginFeedback starts a compound packet with an empty receiver report and our name, as those must who did not agree on
// reduced-size RTCP.
func (l *Leg) beginFeedback(w *worker, stream int) ([]byte, int) {
	t := &l.tracks[stream]
	b := w.rtcpBuffer()
	b[0], b[1] = rtpVersion, rtcpRR
	binary.BigEndian.PutUint16(b[2:], rrSize/4-1)
	binary.BigEndian.PutUint32(b[4:], t.ssrc())
	return b, rrSize + writeSDES(b[rrSize:], t.ssrc(), &l.cname)
}

// endFeedback writes a message's header and gives its size.
func endFeedback(b []byte, kind, format byte, sender uint32, size int) int {
	b[0], b[1] = rtpVersion|format, kind
	binary.BigEndian.PutUint16(b[2:], uint16(size/4-1))
	binary.BigEndian.PutUint32(b[4:], sender)
	return size
}

// receiveNACK sends again what the leg's peer misses and we still have, and asks the far leg's peer for what never came, by its
// own sequence numbers and where it takes that.
func (l *Leg) receiveNACK(w *worker, far *Leg, stream int, fci []byte) {
	t, source := &l.tracks[stream], &far.tracks[stream].in
	if t.history == nil {
		t.history = &history{}
	}
	ask := far.negotiated(stream)&sdp.NACK != 0 && source.heard && far.takesRTCP(stream)
	be := binary.BigEndian
	b, n := far.beginFeedback(w, stream)
	f := b[n:]
	size, served := feedbackMin, false
	one := func(sequence uint16) {
		if l.resend(w, stream, sequence) {
			served = true
			return
		}
		origin, known := t.out.origin(sequence) // else ours, or from before the source changed
		if ask && known && !source.has(origin) && size+nackSize <= len(f)-tagRoom {
			be.PutUint32(f[size:], uint32(origin)<<16)
			size += nackSize
		}
	}
	for ; len(fci) >= nackSize; fci = fci[nackSize:] {
		missing(fci, one)
	}
	if size == feedbackMin {
		if !served {
			w.drop(l, DropFeedback)
		}
		return
	}
	be.PutUint32(f[8:], source.ssrc)
	n += endFeedback(f, rtcpRTPFB, fmtNACK, far.tracks[stream].ssrc(), size)
	far.sendRTCP(w, stream, b[:n])
}

// passFeedback passes a message on with the far leg's SSRCs.
func (l *Leg) passFeedback(w *worker, far *Leg, stream int, p []byte) {
	t := &far.tracks[stream]
	b, n := far.beginFeedback(w, stream)
	f := b[n:]
	if !t.in.heard || !far.takesRTCP(stream) || len(p) > len(f)-tagRoom {
		w.drop(l, DropFeedback)
		return
	}
	n += copy(f, p)
	binary.BigEndian.PutUint32(f[4:], t.ssrc())
	binary.BigEndian.PutUint32(f[8:], t.in.ssrc)
	far.sendRTCP(w, stream, b[:n])
}

// passREMB passes a bandwidth estimate on, for those of its streams that come from the far leg's peer.
//
//	|  Unique identifier 'R' 'E' 'M' 'B'                            |
//	|  Num SSRC     | BR Exp    |  BR Mantissa                      |
//	|   SSRC feedback                                               | …
func (l *Leg) passREMB(w *worker, p []byte) {
	be := binary.BigEndian
	list := p[feedbackMin+8:]
	stream, t := l.sentTrack(be.Uint32(list))
	if t == nil {
		w.drop(l, DropFeedback)
		return
	}
	far, takes := l.farFeedback(stream)
	if takes&sdp.REMB == 0 || !far.takesRTCP(stream) {
		w.drop(l, DropFeedback)
		return
	}
	b, n := far.beginFeedback(w, stream)
	f := b[n:]
	copy(f[8:], p[8:feedbackMin+8])
	size, count := feedbackMin+8, 0
	for ; len(list) >= 4 && size+4 <= len(f)-tagRoom && count < int(p[feedbackMin+4]); list = list[4:] {
		i, t := l.sentTrack(be.Uint32(list))
		if t == nil || !far.tracks[i].in.heard {
			continue
		}
		be.PutUint32(f[size:], far.tracks[i].in.ssrc)
		size += 4
		count++
	}
	if count == 0 {
		w.drop(l, DropFeedback)
		return
	}
	f[feedbackMin+4] = byte(count)
	n += endFeedback(f, rtcpPSFB, fmtApplication, far.tracks[stream].ssrc(), size)
	far.sendRTCP(w, stream, b[:n])
}
