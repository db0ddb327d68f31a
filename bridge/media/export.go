package media

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

// rtcpIndexSkip is by how much a restored sender's SRTCP index jumps: the leg may have sent since it was written down, and
// an index must never be used twice with one key (RFC 3711 §9.1).
const rtcpIndexSkip = 1 << 12

// Export is the leg's state now. Meant for Snapshots: it waits for the leg's worker, so call it from no OnEvent. Of a
// closed leg it has what Local has.
func (l *Leg) Export() LegState {
	answer := make(chan LegState, 1)
	l.do(func(_ *worker, l *Leg) { answer <- l.export() })
	select {
	case s := <-answer:
		return s
	case <-l.freed:
	case <-l.engine.stopped:
	}
	return LegState{Profile: l.spec.Profile, Local: l.Local()}
}

// export runs on the leg's worker.
func (l *Leg) export() LegState {
	s := LegState{
		Profile: l.spec.Profile, Local: l.Local(), Previous: l.ice.previous, Remote: l.remote, AnswerSent: l.said,
	}
	if f := l.ice.selected; f != nil && f.tcp == nil && f.detour == nil { // these end with the process; the browser opens another
		s.Pair, s.Listen = f.to.name.addrPort(), l.engine.listens[f.key.listen]
		s.Reached = f.local.ip()
	}
	s.SRTP = l.srtp.export()
	for i := range l.streams {
		s.Streams = append(s.Streams, l.streams[i].export())
	}
	s.Paths = l.exportPaths()
	return s
}

// export writes down a session; nil is none.
func (s *session) export() *SRTPState {
	if s == nil {
		return nil
	}
	keys := s.keys
	keys.Sent = exportSources(s.out, s.sent)
	keys.Received = exportSources(s.in, s.received)
	return &keys
}

func (s *rtpStream) export() StreamState {
	var out StreamState
	if s == nil {
		return out
	}
	out.Shared = s.pair.shared != nil
	out.RTP, out.SSRC = s.rtp.proven()
	out.RTCP, out.RTCPSSRC = s.rtcp.proven()
	out.SRTP = s.rtp.srtp.export()
	if s.rtcp.srtp != s.rtp.srtp {
		out.SRTCP = s.rtcp.srtp.export()
	}
	return out
}

// proven is where the peer has shown itself to be, and the SSRC it sent; zero: it has not.
func (f *far) proven() (netip.AddrPort, uint32) {
	if f.to == nil || !f.learner.locked && f.agent == nil {
		return netip.AddrPort{}, 0
	}
	return f.to.name.addrPort(), f.learner.ssrc
}

// restoreWebRTC runs before the leg has a worker.
func (l *Leg) restoreWebRTC(r *LegState) error {
	l.ice.current = Credentials{r.Local.Ufrag, r.Local.Password}
	l.ice.previous = r.Previous
	l.remote, l.said = r.Remote, r.AnswerSent
	if r.Local.Fingerprint.Value != "" && r.SRTP != nil {
		l.dtls.established = true
	}
	if r.SRTP != nil {
		s, err := restoreSession(*r.SRTP)
		if err != nil {
			return err
		}
		l.srtp = s
		l.counters.profile.Store(uint32(s.keys.Profile))
		l.alive.connected = true
	}
	return nil
}

// goOn puts a restored leg where its predecessor stood.
func (l *Leg) goOn(w *worker, r *LegState) {
	l.restorePaths(w, r.Paths)
	if l.spec.Profile == sdp.RTP {
		l.restoreStreams(w, r)
		return
	}
	if r.Pair.IsValid() {
		l.restorePair(w, r)
	}
}

// restorePair makes the nominated pair valid again. Which worker's socket gets its packets is not known.
func (l *Leg) restorePair(w *worker, r *LegState) {
	listen := max(0, slices.Index(l.engine.listens, r.Listen))
	f := &flow{leg: l, via: viaUnknown, user: r.Remote.Ufrag, local: localAddrFrom(r.Reached)}
	f.to = endpointOf(sockaddrOf(r.Pair), f.local)
	f.key = f.to.name.source(uint8(listen))
	l.ice.lastCheck, l.ice.firstCheck = w.clock, w.clock // the clock of consent starts anew
	w.learnFlow(l, f)
	l.selectFlow(f, true)
}

// restoreSession makes contexts that go on where the written-down ones stood.
func restoreSession(keys SRTPState) (*session, error) {
	sent, received := keys.Sent, keys.Received
	keys.Sent, keys.Received = nil, nil
	if _, _, err := profileSizes(keys.Profile); err != nil {
		return nil, err
	}
	s, err := newSession(keys)
	if err != nil {
		return nil, err
	}
	p := srtp.ProtectionProfile(keys.Profile)
	mirror, err := srtp.CreateContext(keys.RemoteKey, keys.RemoteSalt, p, srtp.MasterKeyIndicator(keys.RemoteMKI))
	if err != nil {
		return nil, fmt.Errorf("media: srtp: %w", err)
	}
	var sc scratch
	for _, o := range sent[:min(len(sent), maxSent)] {
		if o.RTP {
			s.out.SetROC(o.SSRC, o.Rollover)
			s.sealRTP(&sc, probe(o)) // never sent: it only moves the context to its place
		}
		if o.RTCP {
			s.out.SetIndex(o.SSRC, o.RTCPIndex+rtcpIndexSkip)
			note(&s.sent.rtcp, o.SSRC, 0)
		}
	}
	for _, o := range received[:min(len(received), maxReceived)] {
		if !o.RTP {
			continue
		}
		s.in.SetROC(o.SSRC, o.Rollover)
		mirror.SetROC(o.SSRC, o.Rollover)
		sealed, err := mirror.EncryptRTP(nil, probe(o), &sc.rtp)
		if err != nil {
			return nil, fmt.Errorf("media: srtp: %w", err)
		}
		s.openRTP(&sc, sealed) // as if the peer's latest packet had come again, for the first time here
	}
	return s, nil
}

// probe is an empty packet of a source's highest sequence number.
func probe(o SSRCState) []byte {
	p := make([]byte, rtpMin, rtpMin+tagRoom)
	p[0] = rtpVersion
	p[2], p[3] = byte(o.Sequence>>8), byte(o.Sequence)
	p[8], p[9], p[10], p[11] = byte(o.SSRC>>24), byte(o.SSRC>>16), byte(o.SSRC>>8), byte(o.SSRC)
	return p
}

func (l *Leg) restoreStreams(w *worker, r *LegState) {
	l.said = r.AnswerSent
	for i := range min(len(l.streams), len(r.Streams), len(r.Remote.Streams)) {
		if l.streams[i] != nil {
			l.streams[i].restoreKeys(l, r.Remote.Streams[i].Keying, r.Streams[i])
		}
	}
	l.setAddresses(w, r.Remote)
	for i := range min(len(l.streams), len(r.Streams)) {
		if l.streams[i] == nil {
			continue
		}
		l.streams[i].rtp.restore(w, r.Streams[i].RTP, r.Streams[i].SSRC)
		l.streams[i].rtcp.restore(w, r.Streams[i].RTCP, r.Streams[i].RTCPSSRC)
	}
}

// restoreKeys goes on with a stream's keys; without good ones the call needs new keys from its peers.
func (s *rtpStream) restoreKeys(l *Leg, keying sdp.Keying, r StreamState) {
	s.keying = keying
	ends := s.ends()
	for i, keys := range []*SRTPState{r.SRTP, r.SRTCP} {
		if keys == nil {
			continue
		}
		restored, err := restoreSession(*keys)
		if err != nil {
			l.log().Warn("keys not restored", "err", err)
			continue
		}
		ends[i].srtp, ends[i].dtls.established = restored, keying == sdp.DTLS
		l.counters.profile.Store(uint32(keys.Profile))
	}
	if keying == sdp.SDES {
		s.rtcp.srtp = s.rtp.srtp
	}
}

func (f *far) restore(w *worker, learnt netip.AddrPort, ssrc uint32) {
	if !learnt.IsValid() {
		return
	}
	if f.agent != nil {
		f.agent.Resume(f.component(), learnt, w.clock)
		w.agents.plan(f.leg.streams[f.socket.stream])
		return
	}
	f.to = endpointAt(learnt)
	f.learner.locked, f.learner.open = true, false
	f.learner.from, f.learner.ssrc = f.to.name.source(0), ssrc
}
