package sdp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Offer makes our offer on this leg from what the other leg heard (nil: audio with everything that we relay, for a delayed
// offer). A repeated offer keeps m-line order, mids, payload types and DTLS role, and counts the version up where anything
// changed. With Policy.Transcode the codecs that we convert stand behind those of the other leg.
// ErrNotAcceptable where the other leg has no stream and codec that is relayed here, ErrNoState while an offer is open.
func (l Leg) Offer(other *Description) (Leg, []byte, error) {
	if l.Pending != Stable {
		return l, nil, fmt.Errorf("%w: offer wanted while %s", ErrNoState, l.Pending)
	}
	if l.Direct {
		return l.pass(other, l.open(SaidOffer))
	}
	if other == nil {
		other = &Description{Streams: []Stream{{Kind: "audio", Relayed: true, Direction: SendRecv, Codecs: everything()}}}
	}
	if other.main() == nil {
		return l, nil, fmt.Errorf("%w: the other side has no stream that is relayed", ErrNotAcceptable)
	}
	next := l.open(SaidOffer)
	said := l.layout()
	for slot := range Slots {
		far := other.at(slot)
		if far == nil {
			continue
		}
		at, old := l.place(slot, said, other)
		stream, ok := next.offered(old, *far)
		switch {
		case ok && l.Profile == RTP && slot != Image:
			if err := next.protectOffer(&stream); err != nil {
				return l, nil, err
			}
			fallthrough
		case ok:
			said.put(at, stream)
		case slot == Audio:
			return l, nil, fmt.Errorf("%w: no codec that is relayed: %s", ErrNotAcceptable, names(far.Codecs))
		}
	}
	if said.main() == nil {
		return l, nil, fmt.Errorf("%w: the other side has no stream that is relayed here", ErrNotAcceptable)
	}
	if l.Profile == WebRTC {
		said.bundled(l.Profile)
	}
	next, text, err := next.say(said)
	if err != nil {
		return l, nil, err
	}
	return next, text, nil
}

// named says whether our offers have mids and a bundle: browsers want them, and a trunk that is a WebRTC endpoint behind SIP.
func (l Leg) named() bool {
	return l.Profile == WebRTC || l.Policy.Keying == DTLS && l.Policy.ICE
}

// offered is our offer of one stream of the far leg; false where this leg cannot have it.
func (l *Leg) offered(old, far Stream) (Stream, bool) {
	s := Stream{
		Kind: far.Kind, Protocol: old.Protocol, MID: old.MID, Relayed: true, Reduced: old.Reduced,
		Direction: far.Direction, Ptime: far.ptime(), MaxPtime: far.MaxPtime, Remote: RemoteStream{Mux: old.Remote.Mux},
	}
	if !l.reserved(slotOf(far.Kind)) {
		return s, false
	}
	if far.Kind == "image" {
		s.Protocol, s.Format, s.Fax = far.Protocol, far.Format, far.Fax
		return s, l.Profile == RTP && !l.Policy.Required // UDPTL is in the clear
	}
	if s.Codecs = l.numbered(l.widened(far)); !carries(s.Codecs) || far.Kind == "video" && !l.Policy.Video {
		return s, false
	}
	if s.Protocol == "" {
		s.Protocol = l.protocol()
	}
	if far.Kind == "video" {
		s.Feedback, s.Bandwidth = far.Feedback|pictureRequests, far.Bandwidth
	}
	if extended(s.Protocol) {
		s.Extension = l.numberedExtensions(far.Extension)
	}
	s.pair()
	if l.Profile == RTP {
		s.Bundled = old.Bundled || old.Protocol == "" && l.named() && far.Kind == "audio"
		return s, true
	}
	s.Bundled, s.Remote.Mux = s.MID != "", true // a peer without mids gets none
	s.ICE.Setup = l.Setup
	if l.Setup == "" {
		s.ICE.Setup = "actpass"
	}
	return s, true
}

// widened are the far leg's codecs of a stream with those that this leg may have beside them: the events that go with them,
// and what we convert.
func (l Leg) widened(far Stream) []Codec {
	all := slices.Clone(far.Codecs)
	if far.Kind != "audio" {
		return all
	}
	for _, c := range everything() {
		missing := !slices.ContainsFunc(all, c.Same)
		switch {
		case !missing:
		case c.voice() && l.Policy.Transcode:
			all = append(all, c)
		case c.telephone() && slices.ContainsFunc(all, func(v Codec) bool { return v.voice() && v.Clock == c.Clock }):
			all = append(all, c)
		}
	}
	return all
}

// numbered gives codecs the payload types of this leg and binds them here.
func (l *Leg) numbered(far []Codec) []Codec {
	far = slices.Collect(relayables(far))
	all := make([]Codec, 0, len(far))
	if l.Profile == RTP {
		slices.SortStableFunc(far, func(a, b Codec) int { return a.rank() - b.rank() })
	}
	bound := slices.Grow(slices.Clone(l.Bound), len(far))
	for _, c := range far {
		n, ok := number(bound, c)
		if !ok {
			continue
		}
		c.PayloadType = n
		c = c.withEvents(l.Profile)
		bound = bindOne(bound, c)
		all = append(all, c)
	}
	l.Bound = bound
	return all
}

// say writes a description with our transport. The version counts up by one for a changed text; an unchanged one is the
// text said before (RFC 3264 §8).
func (l Leg) say(d *Description) (next Leg, text []byte, err error) {
	if err := l.transport(d); err != nil {
		return l, nil, err
	}
	next = l
	next.Said, next.Text = d, ""
	if l.Version > 0 {
		d.Origin = l.origin(l.Version)
		text = next.Repeat()
	}
	if l.Version == 0 || !bytes.Equal(text, l.Repeat()) {
		next.Version++
		d.Origin = l.origin(next.Version)
		text = next.Repeat()
	}
	return next, text, nil
}

// origin is the o= line's value. A browser leg's names no address (RFC 8829 §5.2.1).
func (l Leg) origin(version uint64) string {
	w := writer{make([]byte, 0, 64)}
	w.say("- ").number(l.SessionID).say(" ").number(version).say(" IN ")
	switch {
	case l.Host != "":
		w.say(l.Host)
	case l.Profile == RTP:
		w.family(l.Local.Addr)
	default:
		w.say("IP4 127.0.0.1")
	}
	return string(w.text)
}

// transport puts our side of the transport into the streams that are carried.
func (l Leg) transport(d *Description) error {
	d.ICELite = l.Profile == WebRTC
	for i := range d.Streams {
		s := &d.Streams[i]
		var err error
		switch {
		case !s.Relayed && !s.Idle:
		case l.Profile == WebRTC:
			err = l.webTransport(s)
		default:
			err = l.portTransport(s, slotOf(s.Kind))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reserved says whether there is a port for a slot. What has none beside audio is not carried.
func (l Leg) reserved(slot Slot) bool {
	return l.Profile == WebRTC || slot == Audio || slot < len(l.Local.Ports) && l.Local.Ports[slot] != 0
}

func (l Leg) portTransport(s *Stream, slot Slot) error {
	if !l.Local.Addr.IsValid() || slot >= len(l.Local.Ports) || l.Local.Ports[slot] == 0 {
		return fmt.Errorf("%w: the leg has no port for m=%s", ErrNoState, s.Kind)
	}
	keying := s.Remote.Keying
	s.Remote = portPair(l.Local.Addr, l.Local.Ports[slot], s.Remote.Mux)
	s.Remote.Keying = keying
	return nil
}

func (l Leg) webTransport(s *Stream) error {
	local := l.Local
	if local.Ufrag == "" || local.Password == "" || local.Fingerprint.Value == "" {
		return fmt.Errorf("%w: the leg has no ICE credentials or no certificate", ErrNoState)
	}
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
	if s.Idle {
		return nil
	}
	// A stream id makes the browser's ontrack event carry a stream, which every library plays from.
	s.Msid = fmt.Sprintf("tandem-%d %s-%d", l.SessionID, s.Kind, l.SessionID)
	if s.Kind == "audio" {
		s.SSRC = local.SSRC
	}
	return nil
}
