package media

import "tandem/bridge/sdp"

const anyStream = -1 // a bundled packet: the payload type says which stream's

// joining is a Join on its way to the workers. Never changed once made, so it is safe to share.
type joining struct {
	legs [2]*Leg
	plan sdp.Plan
}

// relay joins two legs; owned by the worker that owns both.
type relay struct {
	legs      [2]*Leg
	plan      *sdp.Plan
	converter *converter // nil: the legs speak the same
}

// Join relays between two legs by a plan, from the next packet on; again with a new plan swaps it. A leg joined
// elsewhere is taken out of its old relay.
func (e *Engine) Join(a, b *Leg, plan sdp.Plan) {
	if a == b {
		return
	}
	j := &joining{legs: [2]*Leg{a, b}, plan: plan}
	for _, l := range j.legs {
		l.joined.Store(j)
	}
	j.anchor().order(func(w *worker, l *Leg) { l.join(w, j) })
}

// stands says that no newer Join took one of the legs. Only one that stands sends for a leg, or two would for ever take it
// from each other.
func (j *joining) stands() bool { return j.legs[0].joined.Load() == j && j.legs[1].joined.Load() == j }

// lapse leaves a leg alone whose partner was taken before they met.
func (j *joining) lapse() {
	for _, l := range j.legs {
		l.do(func(w *worker, l *Leg) {
			if l.joined.Load() == j {
				l.unjoin(w)
			}
		})
	}
}

// anchor is the leg to whose worker the other comes: the browser's, whose packets already come in somewhere.
func (j *joining) anchor() *Leg {
	a, b := j.legs[0], j.legs[1]
	if a.spec.Profile != b.spec.Profile {
		if a.spec.Profile == sdp.WebRTC {
			return a
		}
		return b
	}
	if a.slot < b.slot {
		return a
	}
	return b
}

func (j *joining) other(l *Leg) *Leg {
	if j.legs[0] == l {
		return j.legs[1]
	}
	return j.legs[0]
}

// join runs on the anchor's worker. Where the other leg lives elsewhere it is sent for, and join runs again when it comes.
func (l *Leg) join(w *worker, j *joining) {
	other := j.other(l)
	if l.closed.Load() || other.closed.Load() {
		return
	}
	if !j.stands() {
		j.lapse()
		return
	}
	if w.owns(other) {
		w.relate(j)
		return
	}
	to := w.id
	other.do(func(w *worker, o *Leg) {
		if !j.stands() {
			j.lapse()
			return
		}
		o.unjoin(w)
		retry := func(*worker) { l.do(func(w *worker, l *Leg) { l.join(w, j) }) }
		if w.id == to {
			retry(w)
			return
		}
		w.move(to, retry, o)
	})
}

// relate makes or renews the relay of two legs that are both here.
func (w *worker) relate(j *joining) {
	a, b := j.legs[0], j.legs[1]
	plan := j.plan
	r := a.relay
	anew := r == nil || r != b.relay
	if r == nil || r != b.relay || r.legs[0] != a {
		a.unjoin(w)
		b.unjoin(w)
		r = &relay{legs: j.legs}
		a.relay, a.side = r, 0
		b.relay, b.side = r, 1
		w.engine.counters.relays.Add(1)
	}
	r.plan = &plan
	for side, l := range j.legs {
		l.ready(&plan, side, anew)
		l.alive.since = w.clock
	}
	r.setConverter(w)
	if anew {
		w.begin(r)
	}
}

// unjoin takes the leg out of its relay.
func (l *Leg) unjoin(w *worker) {
	r := l.relay
	if r == nil {
		return
	}
	for _, leg := range r.legs {
		leg.publish()
		leg.endDigits(w)
		leg.ear.forget()
		leg.relay = nil
	}
	r.stopConverter()
	w.engine.counters.relays.Add(-1)
}

// streamOf is the stream that a bundled packet belongs to: by its payload type, else by its source; false where neither is
// known.
func (l *Leg) streamOf(p []byte) (int, bool) {
	plan, payload := l.relay.plan, p[1]&^rtpMarkerBit
	for i := range plan.Streams {
		s := &plan.Streams[i]
		if s.Kind == "" {
			continue
		}
		if s.Payload[l.side][payload] != noPayload || s.Transcode && s.From[l.side] == payload ||
			s.EventFrom[l.side] == payload && s.Telephone[l.side].Name != "" {
			return i, true
		}
	}
	i, t := l.heardTrack(rtpSSRC(p))
	return i, t != nil && i < len(plan.Streams)
}

const noPayload = 0xff

// relayRTP passes a plain RTP packet that came from the leg to the other one. The header is known to be whole.
func (l *Leg) relayRTP(w *worker, stream int, p []byte) {
	r := l.relay
	if r == nil {
		w.drop(l, DropNotJoined)
		return
	}
	payload := p[1] &^ rtpMarkerBit
	if stream == anyStream {
		var known bool
		if stream, known = l.streamOf(p); !known {
			w.drop(l, DropPayload)
			return
		}
	}
	if stream >= len(r.plan.Streams) {
		w.drop(l, DropNotJoined)
		return
	}
	planned := &r.plan.Streams[stream]
	far := r.legs[1-l.side]
	out := &far.tracks[stream].out
	reason, turned := l.tracks[stream].in.take(p, w.clock)
	if reason != dropNone {
		w.drop(l, reason)
		return
	}
	if turned {
		l.turned(w, stream, out)
	}
	if !planned.Forward[l.side] {
		out.skip(p)
		w.drop(l, DropHeld)
		return
	}
	if stream == sdp.Audio && l.hearDigit(w, planned, p) {
		return
	}
	if l.spec.Tap != nil {
		l.tap(w, stream, planned, p)
	}
	if planned.Transcode {
		l.convert(w, planned, p)
		return
	}
	mapped := planned.Payload[l.side][payload]
	if mapped == noPayload {
		out.skip(p)
		w.drop(l, DropPayload)
		return
	}
	p = mapExtension(p, &planned.Extension[l.side])
	p[1] = p[1]&rtpMarkerBit | mapped
	if reason = out.pass(p, w.clock, planned.Codec[1-l.side].Clock); reason != dropNone {
		w.drop(l, reason)
		return
	}
	far.sendRTP(w, stream, p)
}

// tap shows a packet to whoever records the leg.
func (l *Leg) tap(w *worker, stream int, s *sdp.PlannedStream, p []byte) {
	var spoken *sdp.Codec
	far := s.Codec[1-l.side].PayloadType
	if payload := p[1] &^ rtpMarkerBit; payload == s.From[l.side] || !s.Transcode && s.Payload[l.side][payload] == far {
		spoken = &s.Codec[l.side] // some send with the number of their own answer
	}
	l.spec.Tap.Packet(l, stream, spoken, p, w.wall())
}

// turned is called where another source than before is heard in a leg's stream.
func (l *Leg) turned(w *worker, stream int, out *path) {
	if out.started && out.framed {
		_ = l.askKeyFrame(w, stream) // the peer of the other leg knows nothing of the new source's pictures
	}
	out.settled = false
}

// sendRTP sends a plain packet to the leg's peer.
func (l *Leg) sendRTP(w *worker, stream int, p []byte) {
	if h := l.tracks[stream].history; h != nil {
		h.keep(p)
	}
	l.transmit(w, stream, p)
}

// transmit sends a plain packet, encrypted where the leg is.
func (l *Leg) transmit(w *worker, stream int, p []byte) {
	if l.spec.Profile == sdp.WebRTC {
		if l.srtp == nil {
			w.drop(l, DropPeerNotReady)
			return
		}
		l.tracks[stream].sent.count(p)
		sealed, reason := l.srtp.sealRTP(&w.scratch, p)
		if reason != dropNone {
			w.drop(l, reason)
			return
		}
		l.sendSelected(w, sealed)
		return
	}
	s := l.stream(stream)
	if s == nil || s.rtp.to == nil || s.keying != sdp.Plain && s.rtp.srtp == nil {
		w.drop(l, DropPeerNotReady)
		return
	}
	l.tracks[stream].sent.count(p)
	if s.keying != sdp.Plain {
		sealed, reason := s.rtp.srtp.sealRTP(&w.scratch, p)
		if reason != dropNone {
			w.drop(l, reason)
			return
		}
		p = sealed
	}
	w.queue(s.pair.rtp, l, s.rtp.to, p)
}

// sendSelected sends to the nominated pair.
func (l *Leg) sendSelected(w *worker, p []byte) {
	f := l.ice.selected
	if f == nil {
		w.drop(l, DropPeerNotReady)
		return
	}
	if l.alive.dead { // RFC 7675 §5.1: who does not ask for packets any more gets none
		w.drop(l, DropConsent)
		return
	}
	w.toPair(f, l, p)
}

// toPair sends to a browser's far end; l is whose packet is counted, nil for none.
func (w *worker) toPair(f *flow, l *Leg, p []byte) {
	if f.tcp != nil {
		w.sendTCP(f.tcp, l, p)
		return
	}
	if f.detour != nil {
		w.toClient(f.detour, l, p)
		return
	}
	w.queue(w.browsers[f.key.listen], l, f.to, p)
}
