package media

import (
	"encoding/binary"
	"net/netip"

	"tandem/bridge/sdp"
)

// rtpStream is one m-line's transport on an RTP leg: a socket pair, and where its peer is.
type rtpStream struct {
	pair      portPair
	sockets   [2]*portSocket
	rtp, rtcp far
	mux       bool // RTCP on the RTP port too
}

// far is a peer's end of one socket: where packets go, and what is learnt of where they come from.
type far struct {
	to      endpoint
	learner learner
}

func newRTPStream(l *Leg, number int, pair portPair) *rtpStream {
	s := &rtpStream{pair: pair}
	s.sockets[0] = &portSocket{fd: pair.rtp, leg: l, stream: number}
	s.sockets[1] = &portSocket{fd: pair.rtcp, leg: l, stream: number, rtcp: true}
	for _, f := range []*far{&s.rtp, &s.rtcp} {
		f.learner.mode, f.learner.signalling = l.learn, l.spec.Signalling.Unmap()
	}
	return s
}

func (s *rtpStream) watch(w *worker) {
	if s == nil {
		return
	}
	for _, p := range s.sockets {
		w.sockets.add(p)
		if err := w.poller.add(p.fd, forPort, p.number); err != nil {
			w.engine.cfg.Log.Error("rtp socket cannot be watched", "err", err)
		}
	}
}

func (s *rtpStream) unwatch(w *worker) {
	if s == nil {
		return
	}
	for _, p := range s.sockets {
		w.poller.remove(p.fd)
		w.sockets.remove(p)
	}
}

// setAddresses takes the peer's SDP: packets go there until another source is learnt.
func (l *Leg) setAddresses(w *worker, r sdp.Remote) {
	l.remote = r
	for _, s := range l.streams {
		l.expect(w, s)
	}
	l.alive.since = w.clock
}

// expect has a stream take what the peer's SDP says of it.
func (l *Leg) expect(w *worker, s *rtpStream) {
	if s == nil || s.sockets[0].stream >= len(l.remote.Streams) {
		return
	}
	told := l.remote.Streams[s.sockets[0].stream]
	until := w.clock + int64(l.engine.cfg.Limits.Learn)
	s.mux = told.Mux
	s.rtp.expect(told.RTP, until)
	rtcp := told.RTCP
	if !rtcp.IsValid() && told.RTP.IsValid() {
		rtcp = netip.AddrPortFrom(told.RTP.Addr(), told.RTP.Port()+1)
	}
	s.rtcp.expect(rtcp, until)
}

func (f *far) expect(told netip.AddrPort, until int64) {
	f.learner.expect(told, until)
	if !f.learner.locked {
		f.to.set(told)
	}
}

// take judges a packet by its source, and follows a source that was learnt.
func (f *far) take(d *datagram, ssrc uint32, clock int64) DropReason {
	reason, learnt := f.learner.judge(d.from, ssrc, clock)
	if learnt {
		f.to = endpoint{name: *d.from, nameSize: d.from.size()}
	}
	return reason
}

// receivePort takes a datagram from a SIP-side socket.
func (w *worker) receivePort(s *portSocket, d *datagram) {
	l, p := s.leg, d.data
	st := l.streams[s.stream]
	switch {
	case l.failed != "":
		w.drop(l, DropFailed)
	case s.stream == sdp.Image:
		l.receiveFax(w, s, d)
	case s.rtcp || st.mux && len(p) >= 2 && isRTCP(p):
		l.receivePlainRTCP(w, s, d)
	default:
		l.receivePlainRTP(w, s, d)
	}
}

func (l *Leg) receivePlainRTP(w *worker, s *portSocket, d *datagram) {
	if _, ok := rtpHeader(d.data); !ok || !validPadding(d.data) {
		w.drop(l, DropRTPMalformed)
		return
	}
	st := l.streams[s.stream]
	before := st.rtp.to
	if reason := st.rtp.take(d, rtpSSRC(d.data), w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	if before.name != st.rtp.to.name || l.counters.remote.Load() == nil {
		at := d.from.addrPort()
		l.counters.remote.Store(&at)
	}
	l.received(w, len(d.data))
	l.gotRTP(w)
	l.heard(w)
	l.connected(w)
	l.relayRTP(w, s.stream, d.data)
}

func (l *Leg) receivePlainRTCP(w *worker, s *portSocket, d *datagram) {
	if !validRTCP(d.data) {
		w.drop(l, DropRTCPMalformed)
		return
	}
	st := l.streams[s.stream]
	f := &st.rtcp
	if !s.rtcp { // muxed: the source is RTP's
		if !st.rtp.believes(d, w.clock) {
			w.drop(l, DropSource)
			return
		}
	} else if reason := f.take(d, binary.BigEndian.Uint32(d.data[4:]), w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.received(w, len(d.data))
	l.heard(w)
	l.receiveRTCP(w, d.data)
}

// believes judges a source without learning from it.
func (f *far) believes(d *datagram, clock int64) bool {
	key := d.from.source(0)
	if f.learner.locked {
		return key == f.learner.from
	}
	return f.learner.allowed(key, d.from, clock)
}
