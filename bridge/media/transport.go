package media

import (
	"slices"

	"tandem/bridge/sdp"
)

// transport is where a peer's packets are keyed: one on a WebRTC leg, for all streams; on an RTP leg one for each stream and
// another for its RTCP where that has ports of its own (RFC 5764 §3). Owned by the leg's worker.
type transport struct {
	leg    *Leg
	far    *far // RTP legs: the peer's end of a socket; nil on a WebRTC leg, whose peer is at the nominated pair
	dtls   dtlsState
	srtp   *session // nil: no keys, yet or at all
	former formerKeys
}

// peer is what the peer's SDP says of the transport.
func (t *transport) peer() sdp.Transport {
	if t.far == nil {
		return t.leg.remote.Transport
	}
	return t.far.told().Transport
}

// transports are all of the leg's.
func (l *Leg) transports() []*transport {
	if l.spec.Profile == sdp.WebRTC {
		return []*transport{&l.transport}
	}
	var all []*transport
	for _, s := range l.streams {
		if s != nil {
			all = append(all, &s.rtp.transport, &s.rtcp.transport)
		}
	}
	return all
}

// active says whether the peer left the client's part of DTLS to us (RFC 8842 §5).
func (t *transport) active() bool { return t.peer().Setup == "passive" }

// mayHandshake says whether both descriptions are known to both sides. After a peer's offer ours must be out. A browser that
// says active or passive has answered our offer, and nothing of ours is outstanding; on an RTP leg the role is always decided.
func (t *transport) mayHandshake() bool {
	if f := t.far; f != nil {
		told := f.told()
		return t.leg.said && told.Keying == sdp.DTLS && len(told.Fingerprints) > 0 && !(f.socket.rtcp && told.Mux)
	}
	peer := &t.leg.remote.Transport
	if peer.Ufrag == "" {
		return false
	}
	return t.leg.said || peer.Setup == "active" || peer.Setup == "passive"
}

// reachable says whether it is known where the peer is.
func (t *transport) reachable() bool {
	if t.far != nil {
		return t.far.to != nil
	}
	return t.leg.ice.selected != nil
}

// sendDTLS sends a datagram of records to the peer.
func (t *transport) sendDTLS(w *worker, p []byte) {
	switch {
	case !t.reachable():
		w.drop(t.leg, DropPeerNotReady)
	case t.far != nil:
		w.queue(t.far.socket.fd, nil, t.far.to, p)
	default:
		w.toPair(t.leg.ice.selected, nil, p)
	}
}

// send sends a packet, sealed where the transport has keys, to the peer, which is reachable.
func (t *transport) send(w *worker, p []byte) {
	if t.far == nil {
		t.leg.sendSelected(w, p)
		return
	}
	w.queue(t.far.socket.fd, t.leg, t.far.to, p)
}

// renew allows a new association where the SDP changed what RFC 8842 §5.5 names. A peer may begin one with new credentials too;
// we do not, for by themselves these are no reason.
func (t *transport) renew(before, after sdp.Transport) {
	d := &t.dtls
	if len(before.Fingerprints) == 0 && before.Ufrag == "" || !d.established && d.running == nil {
		return
	}
	if before.TLSID != after.TLSID || !slices.Equal(before.Fingerprints, after.Fingerprints) {
		d.renewable, d.due = true, true
	}
	if before.Ufrag != after.Ufrag {
		d.renewable = true
	}
}
