package media

import "encoding/binary"

// validRTCP checks a compound packet's headers and lengths (RFC 3550 §A.2); reduced-size packets pass (RFC 5506).
//
//	|V=2|P|   RC    |      PT       |  length in words minus one    |
//	|                        sender's SSRC                          | …
func validRTCP(p []byte) bool {
	if len(p) < rtcpMin || len(p)%4 != 0 {
		return false
	}
	for len(p) > 0 {
		if len(p) < 4 || p[0]&0xC0 != rtpVersion || !isRTCP(p) {
			return false
		}
		size := 4 + 4*int(binary.BigEndian.Uint16(p[2:]))
		if size > len(p) {
			return false
		}
		if p[0]&rtpPadBit != 0 && size != len(p) { // only the last may be padded
			return false
		}
		p = p[size:]
	}
	return true
}

// relayRTCP passes a leg's RTCP on, in the terms of the streams as they leave.
func (l *Leg) relayRTCP(w *worker, stream int, p []byte) {
	r := l.relay
	if r == nil {
		w.drop(l, DropNotJoined)
		return
	}
	if stream == anyStream {
		stream = r.streamOfSource(l.side, binary.BigEndian.Uint32(p[4:]))
	}
	if stream >= len(r.plan.Streams) {
		w.drop(l, DropNotJoined)
		return
	}
	if p = translateRTCP(p, &r.paths[l.side][stream], &r.paths[1-l.side][stream]); len(p) == 0 {
		w.drop(l, DropGoodbye)
		return
	}
	r.legs[1-l.side].sendRTCP(w, stream, p)
}

// streamOfSource is the stream in which a leg's source was heard; the first where none was.
func (r *relay) streamOfSource(side int, ssrc uint32) int {
	for i := range r.paths[side] {
		if p := &r.paths[side][i]; p.started && p.source == ssrc {
			return i
		}
	}
	return 0
}

// sendRTCP sends plain RTCP to the leg's peer, encrypted where the leg is.
func (l *Leg) sendRTCP(w *worker, stream int, p []byte) {
	if l.srtp != nil {
		sealed, reason := l.srtp.sealRTCP(&w.scratch, p)
		if reason != dropNone {
			w.drop(l, reason)
			return
		}
		l.sendSelected(w, sealed)
		return
	}
	if stream >= len(l.streams) {
		w.drop(l, DropPeerNotReady)
		return
	}
	s := &l.streams[stream]
	fd, to := s.pair.rtcp, &s.rtcp.to
	if s.mux {
		fd, to = s.pair.rtp, &s.rtp.to
	}
	if !to.known() {
		w.drop(l, DropPeerNotReady)
		return
	}
	w.queue(fd, l, to, p)
}
