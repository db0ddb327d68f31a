package media

import (
	"encoding/binary"
	"net/netip"

	"tandem/bridge/media/ice"
	"tandem/bridge/sdp"
)

// rtpStream is one m-line's transport on an RTP leg: a socket pair, and where its peer is.
type rtpStream struct {
	pair      portPair
	rtp, rtcp far
	mux       bool // RTCP on the RTP port too
	keying    sdp.Keying
	agent     *ice.Agent // nil: the leg does no ICE, or the peer does none
	spent     spent      // SDES keys
}

// far is a peer's end of one socket: where packets go, what is learnt of where they come from, and their keys.
type far struct {
	socket  *portSocket
	to      *endpoint // nil: not known yet, or not to be sent to any more
	learner learner
	claimed source     // on a shared port; zero: none
	agent   *ice.Agent // where the peer is as ICE says; nil: as is learnt
	transport
}

func newRTPStream(l *Leg, slot int, pair portPair) *rtpStream {
	s := &rtpStream{pair: pair}
	s.rtp.socket = &portSocket{fd: pair.rtp, leg: l, stream: slot, far: &s.rtp}
	s.rtcp.socket = &portSocket{fd: pair.rtcp, leg: l, stream: slot, far: &s.rtcp, rtcp: true}
	s.rtp.claimed, s.rtcp.claimed = pair.claimed[0], pair.claimed[1]
	for _, f := range s.ends() {
		f.transport.leg, f.transport.far = l, f
		f.learner.mode, f.learner.signalling = l.learn, l.spec.Signalling.Unmap()
	}
	if l.ice.current.Ufrag != "" && slot != sdp.Image {
		s.agent = s.newAgent()
	}
	return s
}

// ends are the peer's ends of the pair.
func (s *rtpStream) ends() [2]*far { return [2]*far{&s.rtp, &s.rtcp} }

// own are those whose sockets are the leg's alone.
func (s *rtpStream) own() []*far {
	if s.pair.shared != nil {
		return nil
	}
	return []*far{&s.rtp, &s.rtcp}
}

// control is where RTCP goes.
func (s *rtpStream) control() *far {
	if s.mux {
		return &s.rtp
	}
	return &s.rtcp
}

func (s *rtpStream) watch(w *worker) {
	if s == nil {
		return
	}
	for _, f := range s.own() {
		w.sockets.add(f.socket)
		if err := w.poller.add(f.socket.fd, forPort, f.socket.number); err != nil {
			w.engine.cfg.Log.Error("rtp socket cannot be watched", "err", err)
		}
	}
	w.agents.add(s)
}

func (s *rtpStream) unwatch(w *worker) {
	if s == nil {
		return
	}
	for _, f := range s.own() {
		w.poller.remove(f.socket.fd)
		w.sockets.remove(f.socket)
	}
	w.agents.remove(s)
}

// stream is what the leg has in a slot; nil: nothing.
func (l *Leg) stream(slot int) *rtpStream {
	if slot >= len(l.streams) {
		return nil
	}
	return l.streams[slot]
}

// setAddresses takes the peer's SDP: packets go there until another source is learnt.
func (l *Leg) setAddresses(w *worker, r sdp.Remote) {
	before := l.remote
	l.remote = r
	for slot, s := range l.streams {
		if s != nil {
			s.expect(w, toldOf(before, slot))
		}
	}
	l.alive.since = w.clock
}

// toldOf is what an SDP says of a slot; nothing where it does not.
func toldOf(r sdp.Remote, slot int) sdp.RemoteStream {
	if slot >= len(r.Streams) {
		return sdp.RemoteStream{}
	}
	return r.Streams[slot]
}

// told is what the peer's SDP says of the stream.
func (f *far) told() *sdp.RemoteStream {
	streams := f.socket.leg.remote.Streams
	if f.socket.stream >= len(streams) {
		return &sdp.RemoteStream{}
	}
	return &streams[f.socket.stream]
}

// expect takes what the peer's SDP says of the stream, and said before.
func (s *rtpStream) expect(w *worker, before sdp.RemoteStream) {
	told := s.rtp.told()
	until := w.clock + int64(w.engine.cfg.Limits.Learn)
	s.mux = told.Mux
	s.rtp.expect(told.RTP, until)
	s.claim(w)
	s.rtcp.expect(told.Control(), until)
	s.check(w)
	s.protect(w, before)
}

func (f *far) expect(told netip.AddrPort, until int64) {
	f.learner.expect(told, until)
	if !f.learner.locked && f.agent == nil {
		f.to = endpointAt(told)
	}
}

// refusal judges a datagram by its source without learning anything.
func (f *far) refusal(d *datagram, clock int64) DropReason {
	switch {
	case f.agent == nil:
		return f.learner.refusal(d.from, clock)
	case f.to.is(d.from):
		return dropNone
	case !f.agent.Accepts(f.component(), d.from.addrPort()):
		return DropNotValidated
	}
	return dropNone
}

// component is ICE's number of the socket.
func (f *far) component() int {
	if f.socket.rtcp {
		return 2
	}
	return 1
}

// take judges a packet by its source, and follows a source that was learnt.
func (f *far) take(d *datagram, ssrc uint32, clock int64) DropReason {
	if f.agent != nil {
		return f.refusal(d, clock)
	}
	reason, learnt := f.learner.judge(d.from, ssrc, clock)
	if learnt {
		f.follow(d)
	}
	return reason
}

// follow has packets go where a datagram came from.
func (f *far) follow(d *datagram) { f.to = endpointOf(*d.from, localAddr{}) }

// receivePort takes a datagram from a SIP-side socket.
func (w *worker) receivePort(s *portSocket, d *datagram) {
	l, p := s.leg, d.data
	st := l.streams[s.stream]
	switch {
	case l.failed != "":
		w.drop(l, DropFailed)
	case s.stream == sdp.Image:
		l.receiveFax(w, s, d)
	case st.keying != sdp.Plain || st.agent != nil:
		l.receiveSecured(w, s, d)
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
	l.acceptRTP(w, s.far, d, d.data)
}

// acceptRTP relays a packet, plain by now, if it comes from where the peer is.
func (l *Leg) acceptRTP(w *worker, f *far, d *datagram, plain []byte) {
	before := f.to
	if reason := f.take(d, rtpSSRC(plain), w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	if before != f.to || l.counters.remote.Load() == nil {
		at := d.from.addrPort()
		l.counters.remote.Store(&at)
	}
	l.received(w, len(d.data))
	l.gotRTP(w)
	l.heard(w)
	l.connected(w)
	l.relayRTP(w, f.socket.stream, plain)
}

func (l *Leg) receivePlainRTCP(w *worker, s *portSocket, d *datagram) {
	if !validRTCP(d.data) {
		w.drop(l, DropRTCPMalformed)
		return
	}
	l.acceptRTCP(w, s.far, d, d.data)
}

// acceptRTCP takes RTCP, plain by now, if it comes from where the peer is.
func (l *Leg) acceptRTCP(w *worker, f *far, d *datagram, plain []byte) {
	if !f.socket.rtcp { // muxed: the source is RTP's
		if !f.believes(d, w.clock) {
			w.drop(l, DropSource)
			return
		}
	} else if reason := f.take(d, binary.BigEndian.Uint32(plain[4:]), w.clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	l.received(w, len(d.data))
	l.heard(w)
	l.receiveRTCP(w, plain)
}

// believes judges a source without learning from it.
func (f *far) believes(d *datagram, clock int64) bool {
	if f.agent != nil {
		return f.refusal(d, clock) == dropNone
	}
	key := d.from.source(0)
	if f.learner.locked {
		return key == f.learner.from
	}
	return f.learner.allowed(key, d.from, clock)
}
