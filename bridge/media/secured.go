package media

import "tandem/bridge/sdp"

// receiveSecured takes a datagram of a stream with keys or ICE, by its first byte (RFC 7983 §7). Nothing is learnt of its
// source before it has proven genuine.
func (l *Leg) receiveSecured(w *worker, s *portSocket, d *datagram) {
	if len(d.data) == 0 {
		w.drop(l, DropProtocol)
		return
	}
	st, first := l.streams[s.stream], d.data[0]
	switch {
	case first <= 3 && st.agent != nil:
		st.receiveCheck(w, s, d)
	case first >= 20 && first <= 63 && st.keying == sdp.DTLS:
		l.receivePortDTLS(w, s.far, d)
	case first < 128 || first > 191:
		w.drop(l, DropProtocol)
	case s.rtcp || st.mux && len(d.data) >= 2 && isRTCP(d.data):
		if st.keying == sdp.Plain {
			l.receivePlainRTCP(w, s, d)
			return
		}
		l.receiveSealedRTCP(w, s.far, d)
	case st.keying == sdp.Plain:
		l.receivePlainRTP(w, s, d)
	default:
		l.receiveSealedRTP(w, s.far, d)
	}
}

func (l *Leg) receiveSealedRTP(w *worker, f *far, d *datagram) {
	plain, reason := f.unseal(w, d, (*session).openRTP)
	if reason == dropNone && !validPadding(plain) {
		reason = DropRTPMalformed
	}
	if reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.acceptRTP(w, f, d, plain)
}

func (l *Leg) receiveSealedRTCP(w *worker, f *far, d *datagram) {
	plain, reason := f.unseal(w, d, (*session).openRTCP)
	if reason == dropNone && !validRTCP(plain) {
		reason = DropRTCPMalformed
	}
	if reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.acceptRTCP(w, f, d, plain)
}

// unseal decrypts a packet in place, once its source could be the peer's and there are keys.
func (f *far) unseal(w *worker, d *datagram, by opener) ([]byte, DropReason) {
	if reason := f.refusal(d, w.clock); reason != dropNone {
		return nil, reason
	}
	if f.srtp == nil {
		return nil, DropBeforeDTLS
	}
	return f.open(w, d.data, by)
}

// receivePortDTLS takes DTLS records. They are answered to where they came from, until the peer's address is learnt; whoever
// it is has to fit the SDP's fingerprint.
func (l *Leg) receivePortDTLS(w *worker, f *far, d *datagram) {
	if reason := f.refusal(d, w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	if f.agent == nil && !f.learner.locked && !f.mayShake(w, d) {
		w.drop(l, DropDTLSBusy)
		return
	}
	f.receiveDTLS(w, d.data)
}

// mayShake says whether a datagram is let near a handshake, and has it answered to where it came from. Who has not come back
// with our cookie (RFC 6347 §4.2.1) may have forged its address, and keeps nobody out: another's ClientHello takes its place.
func (f *far) mayShake(w *worker, d *datagram) bool {
	a := f.dtls.running
	if a != nil && (a.client || a.pipe.answered.Load() || f.to.is(d.from)) {
		return true
	}
	r, _ := scanRecords(d.data)
	if r.hello && !f.socket.leg.unproven.spend(w.clock, unprovenOfLeg) || !r.hello && a != nil {
		return false
	}
	if a != nil {
		f.dtls.stop()
		f.dtls.renewable = f.dtls.established
	}
	f.follow(d)
	return true
}

// protect takes how the peer's SDP has the stream's packets protected; before is what it said before.
func (s *rtpStream) protect(w *worker, before sdp.RemoteStream) {
	told := s.rtp.told()
	if s.keying != told.Keying {
		for _, f := range s.ends() {
			f.dtls.stop()
			f.dtls, f.srtp, f.former = dtlsState{}, nil, formerKeys{}
		}
		s.keying = told.Keying
	}
	switch told.Keying {
	case sdp.SDES:
		s.useCrypto(w, told)
	case sdp.DTLS:
		for _, f := range s.ends() {
			f.renew(before.Transport, told.Transport)
			f.releaseEarly(w)
		}
	}
}
