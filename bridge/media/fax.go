package media

import "tandem/bridge/sdp"

// faxMin is the shortest UDPTL packet: a sequence number and an empty message (ITU-T T.38 §9.1).
const faxMin = 3

// receiveFax passes a UDPTL packet on as it is: it has no SSRC, no payload type and no RTCP.
func (l *Leg) receiveFax(w *worker, s *portSocket, d *datagram) {
	if s.rtcp || len(d.data) < faxMin {
		w.drop(l, DropProtocol)
		return
	}
	if reason := l.streams[s.stream].rtp.take(d, 0, w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.received(w, len(d.data))
	l.heard(w)
	r := l.relay
	if r == nil || len(r.plan.Streams) <= sdp.Image || r.plan.Streams[sdp.Image].Kind == "" {
		w.drop(l, DropNotJoined)
		return
	}
	if !r.plan.Streams[sdp.Image].Forward[l.side] {
		w.drop(l, DropHeld)
		return
	}
	r.legs[1-l.side].sendFax(w, d.data)
}

func (l *Leg) sendFax(w *worker, p []byte) {
	if len(l.streams) <= sdp.Image || l.streams[sdp.Image] == nil || l.streams[sdp.Image].rtp.to == nil {
		w.drop(l, DropPeerNotReady)
		return
	}
	s := l.streams[sdp.Image]
	w.queue(s.pair.rtp, l, s.rtp.to, p)
}
