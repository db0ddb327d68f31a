package sdp

import (
	"fmt"
	"slices"
)

// Answer makes our answer to the offer heard on this leg from what the other leg heard (nil: whatever we relay of the
// offer). The other leg's Heard may be its answer to the offer passed on, or an older one where the far side need not be
// asked. ErrNotAcceptable where they share no codec; the offer then stays open. ErrNoState where no offer was heard, or
// where it was answered. The first answer's ufrag, password, fingerprint and m-lines stay for the leg's life unless the
// peer restarts ICE and Local is renewed.
func (l Leg) Answer(other *Description) (Leg, []byte, error) {
	if l.Pending != HeardOffer {
		return l, nil, fmt.Errorf("%w: answer wanted while %s", ErrNoState, l.Pending)
	}
	heard := l.Heard.stream()
	far, err := farSide(other, heard)
	if err != nil {
		return l, nil, err
	}
	stream := Stream{
		Kind: heard.Kind, Protocol: heard.Protocol, Format: heard.Format, Map: heard.Map, Relayed: true, Bundled: heard.Bundled,
		MID: heard.MID, Direction: far.Direction & heard.Direction.Reverse(), Ptime: far.ptime(), MaxPtime: far.MaxPtime, Reduced: heard.Reduced,
		Codecs: shared(heard.Codecs, far.Codecs), Remote: RemoteStream{Mux: heard.Remote.Mux},
	}
	if len(stream.Codecs) == 0 {
		return l, nil, fmt.Errorf("%w: no common codec: offered %s; the other side has %s",
			ErrNotAcceptable, names(heard.Codecs), names(far.Codecs))
	}
	for i, c := range stream.Codecs {
		stream.Codecs[i] = c.withEvents(l.Profile)
	}
	next := l.settle()
	if l.Profile == WebRTC {
		next.Setup = answerSetup(heard.ICE.Setup, l.Setup)
		stream.ICE.Setup = next.Setup
	}
	next.Heard = l.Heard.reduced(stream.Codecs)
	if l.Profile == RTP {
		if err := next.protectAnswer(&stream, *heard, &next.Heard.stream().Remote); err != nil {
			return l, nil, err
		}
	}
	said := &Description{Answer: true, Streams: make([]Stream, len(l.Heard.Streams))}
	for i, s := range l.Heard.Streams {
		said.Streams[i] = s.rejected()
		if s.Relayed {
			said.Streams[i] = stream
		}
	}
	if next, err = next.say(said); err != nil {
		return l, nil, err
	}
	return next, next.Repeat(), nil
}

// reduced is an answered offer: without the codecs that the answer left out, which its writer no longer takes.
func (d *Description) reduced(codecs []Codec) *Description {
	answered := *d
	answered.Streams = slices.Clone(d.Streams)
	s := answered.stream()
	s.Codecs = slices.DeleteFunc(slices.Clone(s.Codecs), func(c Codec) bool {
		return !slices.ContainsFunc(codecs, c.Same)
	})
	return &answered
}

// farSide is the stream of the other leg that is to be said here.
func farSide(other *Description, heard *Stream) (Stream, error) {
	if other == nil {
		return Stream{Direction: SendRecv, Codecs: heard.Codecs, Ptime: heard.Ptime, MaxPtime: heard.MaxPtime}, nil
	}
	s := other.stream()
	if s == nil {
		return Stream{}, fmt.Errorf("%w: the other side has no stream that is relayed", ErrNotAcceptable)
	}
	return *s, nil
}

// answerSetup is our DTLS role (RFC 8842 §5): passive wherever the peer lets us, and what was decided before.
func answerSetup(peer, decided string) string {
	switch peer {
	case "active":
		return "passive"
	case "passive":
		return "active"
	}
	if decided != "" {
		return decided
	}
	return "passive"
}

// answers fits a heard answer to our offer: the same m-lines, no codec, no direction and no key that was not offered.
func (d *Description) answers(l Leg) error {
	offer := l.Said
	d.Answer = true
	if len(d.Streams) > len(offer.Streams) {
		return fmt.Errorf("%w: %d m-lines in answer to %d", ErrMalformed, len(d.Streams), len(offer.Streams))
	}
	for i := len(d.Streams); i < len(offer.Streams); i++ {
		d.Streams = append(d.Streams, offer.Streams[i].rejected()) // forgotten by old phones; RFC 3264 §6 wants them
	}
	i := offer.relayed()
	if i < 0 {
		return fmt.Errorf("%w: our offer relays nothing", ErrNoState)
	}
	heard, offered := &d.Streams[i], &offer.Streams[i]
	for j, c := range heard.Codecs {
		k := slices.IndexFunc(offered.Codecs, func(o Codec) bool { return o.PayloadType == c.PayloadType })
		if c.Name == "" && k >= 0 {
			o := offered.Codecs[k] // answered without its rtpmap
			heard.Codecs[j].Name, heard.Codecs[j].Clock, heard.Codecs[j].Channels = o.Name, o.Clock, o.Channels
		}
	}
	if reason := heard.unusable(l.Profile); reason != "" {
		return fmt.Errorf("%w: answered %s", ErrNotAcceptable, reason)
	}
	all := heard.Codecs
	heard.Codecs = slices.DeleteFunc(slices.Clone(all), func(c Codec) bool {
		return !slices.ContainsFunc(offered.Codecs, c.Same)
	})
	if !voices(heard.Codecs) {
		return fmt.Errorf("%w: answered %s to an offer of %s", ErrNotAcceptable, names(all), names(offered.Codecs))
	}
	heard.Relayed = true
	heard.Direction &= offered.Direction.Reverse()
	if !offered.Remote.Mux {
		heard.Remote.Mux = false
	}
	heard.Remote.settle()
	remote, reason := l.fit(*heard, *offered)
	if reason != "" {
		return fmt.Errorf("%w: answered %s", ErrNotAcceptable, reason)
	}
	heard.Remote = remote
	return nil
}
