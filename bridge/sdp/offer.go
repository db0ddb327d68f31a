package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// Offer makes our offer on this leg from what the other leg heard (nil: everything that we relay, for a delayed offer).
// A repeated offer keeps m-line order, mids, payload types and DTLS role, and counts the version up where anything
// changed. ErrNotAcceptable where the other leg has no codec that is relayed, ErrNoState while an offer is open.
func (l Leg) Offer(other *Description) (Leg, []byte, error) {
	if l.Pending != Stable {
		return l, nil, fmt.Errorf("%w: offer wanted while %s", ErrNoState, l.Pending)
	}
	far, err := farSide(other, &Stream{Codecs: everything()})
	if err != nil {
		return l, nil, err
	}
	next := l.open(SaidOffer)
	codecs := next.numbered(far.Codecs)
	if !voices(codecs) {
		return l, nil, fmt.Errorf("%w: no codec that is relayed: %s", ErrNotAcceptable, names(far.Codecs))
	}
	said, stream := l.layout()
	stream.Codecs, stream.Direction, stream.Ptime, stream.MaxPtime = codecs, far.Direction, far.ptime(), far.MaxPtime
	if l.Profile == RTP {
		if err := next.protectOffer(stream); err != nil {
			return l, nil, err
		}
	} else {
		stream.Bundled, stream.Remote.Mux = stream.MID != "", true // a peer without mids gets none
		stream.ICE.Setup = l.Setup
		if l.Setup == "" {
			stream.ICE.Setup = "actpass"
		}
	}
	if next, err = next.say(said); err != nil {
		return l, nil, err
	}
	return next, next.Repeat(), nil
}

// layout is an offer's m-lines, as they stand since the latest exchange, and the one to be filled in. Audio stands first
// where we decide; elsewhere every m-line keeps its place (RFC 3264 §8).
func (l Leg) layout() (*Description, *Stream) {
	d := &Description{}
	if old := l.Said.stream(); old != nil {
		for _, s := range l.Said.Streams {
			d.Streams = append(d.Streams, s.rejected())
		}
		s := &d.Streams[l.Said.relayed()]
		s.Rejected, s.Relayed, s.Remote.Mux, s.Reduced = false, true, old.Remote.Mux, old.Reduced
		return d, s
	}
	d.Streams = []Stream{{Kind: "audio", Protocol: l.protocol(), Relayed: true}}
	if l.Profile == WebRTC {
		d.Streams[0].MID = "0"
	}
	return d, &d.Streams[0]
}

// numbered gives the far leg's codecs the payload types of this leg and binds them here.
func (l *Leg) numbered(far []Codec) []Codec {
	var all []Codec
	far = relayables(far)
	if l.Profile == RTP {
		slices.SortStableFunc(far, func(a, b Codec) int { return a.rank() - b.rank() })
	}
	for _, c := range far {
		n, ok := number(l.Bound, c)
		if !ok {
			continue
		}
		c.PayloadType = n
		c = c.withEvents(l.Profile)
		l.Bound = bind(l.Bound, []Codec{c})
		all = append(all, c)
	}
	return all
}

// say writes a description with our transport. The version counts up by one for a changed text; an unchanged one is the
// text said before (RFC 3264 §8).
func (l Leg) say(d *Description) (Leg, error) {
	if err := l.transport(d); err != nil {
		return l, err
	}
	d.Origin = l.origin(l.Version)
	text := write(l.Profile, d)
	if l.Version == 0 || text != l.Text {
		l.Version++
		d.Origin = l.origin(l.Version)
		text = write(l.Profile, d)
	}
	l.Said, l.Text = d, text
	return l, nil
}

// origin is the o= line's value. A browser leg's names no address (RFC 8829 §5.2.1).
func (l Leg) origin(version uint64) string {
	address := "IP4 127.0.0.1"
	if l.Profile == RTP {
		address = family(l.Local.Addr)
	}
	return fmt.Sprintf("- %d %d IN %s", l.SessionID, version, address)
}

// transport puts our side of the transport into the relayed stream.
func (l Leg) transport(d *Description) error {
	s, local := d.stream(), l.Local
	if l.Profile == RTP {
		if !local.Addr.IsValid() || len(local.Ports) == 0 {
			return fmt.Errorf("%w: the leg has no RTP port", ErrNoState)
		}
		s.Remote = portPair(local.Addr, local.Ports[0], s.Remote.Mux)
		return nil
	}
	if local.Ufrag == "" || local.Password == "" || local.Fingerprint.Value == "" {
		return fmt.Errorf("%w: the leg has no ICE credentials or no certificate", ErrNoState)
	}
	d.ICELite = true
	s.ICE.ICELite = true
	s.ICE.Ufrag, s.ICE.Password = local.Ufrag, local.Password
	s.ICE.Fingerprints = []Fingerprint{local.Fingerprint}
	s.ICE.Candidates = local.Candidates
	s.Remote.Mux = true
	for _, c := range local.Candidates {
		if strings.EqualFold(c.Transport, "udp") {
			s.Remote.RTP, s.Remote.RTCP = c.Addr, c.Addr
			break
		}
	}
	// A stream id makes the browser's ontrack event carry a stream, which every library plays from.
	s.Msid = fmt.Sprintf("tandem-%d audio-%d", l.SessionID, l.SessionID)
	s.SSRC = local.SSRC
	return nil
}
