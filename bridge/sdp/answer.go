package sdp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Answer makes our answer to the offer heard on this leg from what the other leg heard (nil: whatever we relay of the
// offer). The other leg's Heard may be its answer to the offer passed on, or an older one where the far side need not be
// asked. A stream that the other leg has not is refused. ErrNotAcceptable where they share no codec and Policy.Transcode does
// not help; the offer then stays open. ErrNoState where no offer was heard, or where it was answered. The first answer's
// ufrag, password, fingerprint and m-lines stay for the leg's life unless the peer restarts ICE and Local is renewed.
func (l Leg) Answer(other *Description) (Leg, []byte, error) {
	if l.Pending != HeardOffer {
		return l, nil, fmt.Errorf("%w: answer wanted while %s", ErrNoState, l.Pending)
	}
	if l.Direct {
		return l.pass(other, l.settle())
	}
	if other == nil {
		other = l.Heard
	} else if other.main() == nil {
		return l, nil, fmt.Errorf("%w: the other side has no stream that is relayed", ErrNotAcceptable)
	}
	next := l.settle()
	if l.Profile == WebRTC {
		next.Setup = answerSetup(l.Heard.carrier().ICE.Setup, l.Setup)
	}
	said := &Description{Answer: true, Bundle: l.Heard.Bundle, Streams: make([]Stream, len(l.Heard.Streams))}
	for i, s := range l.Heard.Streams {
		said.Streams[i] = s.rejected()
		far := other.at(slotOf(s.Kind))
		if !s.Relayed || far == nil {
			continue
		}
		stream, ok := next.answered(s, *far, other == l.Heard)
		if ok {
			said.Streams[i] = stream
		} else if s.Kind == "audio" {
			return l, nil, fmt.Errorf("%w: no common codec: offered %s; the other side has %s",
				ErrNotAcceptable, names(s.Codecs), names(far.Codecs))
		}
	}
	if said.main() == nil {
		return l, nil, fmt.Errorf("%w: the other side has no stream that was offered", ErrNotAcceptable)
	}
	next.Heard = l.Heard.reduced(said)
	next.idle(said)
	for _, s := range said.Streams {
		if s.Idle {
			next.Bound = bind(next.Bound, s.Codecs)
		}
	}
	if err := next.protectAnswers(said, l.agreed()); err != nil {
		return l, nil, err
	}
	next, text, err := next.say(said)
	if err != nil {
		return l, nil, err
	}
	return next, text, nil
}

// protectAnswers has the answer's streams protected as it was agreed when the offer was heard. before is the leg as of the
// exchange before.
func (l *Leg) protectAnswers(said *Description, before Leg) error {
	for slot := range Image {
		s := said.at(slot)
		if s == nil || l.Profile != RTP {
			continue
		}
		if err := l.protectAnswer(s, *l.Heard.at(slot), before, &l.Heard.at(slot).Remote); err != nil {
			return err
		}
	}
	return nil
}

// answered is our answer to one stream; alone says that there is no far leg to ask.
func (l Leg) answered(heard, far Stream, alone bool) (Stream, bool) {
	s := Stream{
		Kind: heard.Kind, Protocol: heard.Protocol, Format: heard.Format, Map: heard.Map, Relayed: true, Bundled: heard.Bundled,
		MID: heard.MID, Direction: far.Direction & heard.Direction.Reverse(), Ptime: far.ptime(), MaxPtime: far.MaxPtime, Reduced: heard.Reduced,
		Remote: RemoteStream{Mux: heard.Remote.Mux},
	}
	if alone {
		s.Direction = heard.Direction.Reverse()
	}
	if !l.reserved(slotOf(s.Kind)) {
		return s, false
	}
	if s.Kind == "image" {
		s.Fax, s.Remote.Mux = far.Fax, false
		return s, true
	}
	s.Codecs = shared(heard.Codecs, far.Codecs)
	if len(s.Codecs) == 0 && s.Kind == "audio" && l.Policy.Transcode {
		s.Codecs = converted(heard.Codecs, far.Codecs)
	}
	if s.Kind == "audio" && l.Policy.Transcode && !speaksAs(s.Codecs, far.Codecs) {
		s.Ptime, s.MaxPtime = 0, 0 // packets are made anew
	}
	for i, c := range s.Codecs {
		s.Codecs[i] = c.withEvents(l.Profile)
	}
	if s.Kind == "video" {
		s.Feedback, s.Bandwidth = heard.Feedback&(far.Feedback|pictureRequests), far.Bandwidth
	}
	if l.Profile == WebRTC {
		s.ICE.Setup = l.Setup
	}
	s.Extension = sharedExtensions(heard.Extension, far.Extension)
	s.pair()
	return s, len(s.Codecs) > 0
}

// reduced is an answered offer: without the streams and codecs that the answer left out, which its writer no longer takes.
func (d *Description) reduced(answer *Description) *Description {
	answered := *d
	answered.Streams = slices.Clone(d.Streams)
	for i := range answered.Streams {
		s, said := &answered.Streams[i], &answer.Streams[i]
		s.Relayed, s.Refused = said.Relayed, s.Relayed && !said.Relayed
		s.Feedback &= said.Feedback
		if !s.Relayed {
			continue
		}
		s.Codecs = slices.DeleteFunc(slices.Clone(s.Codecs), func(c Codec) bool {
			return !slices.ContainsFunc(said.Codecs, c.Same)
		})
	}
	return &answered
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

// answers fits a heard answer to our offer: the same m-lines, no codec, no direction and no key that was not offered. What the peer
// refused beside the call's main stream is no longer carried.
func (l Leg) answers(d *Description) error {
	offer := l.Said
	d.Answer = true
	if len(d.Streams) > len(offer.Streams) {
		return fmt.Errorf("%w: %d m-lines in answer to %d", ErrMalformed, len(d.Streams), len(offer.Streams))
	}
	for i := len(d.Streams); i < len(offer.Streams); i++ {
		d.Streams = append(d.Streams, offer.Streams[i].rejected()) // forgotten by old phones; RFC 3264 §6 wants them
	}
	if offer.main() == nil {
		return fmt.Errorf("%w: our offer relays nothing", ErrNoState)
	}
	var reasons []string
	for i := range d.Streams {
		if !offer.Streams[i].Relayed {
			continue
		}
		if err := l.fits(&d.Streams[i], &offer.Streams[i]); err != nil {
			reasons = append(reasons, err.Error())
		}
	}
	if d.main() == nil || offer.Carries(Audio) && !d.Carries(Audio) && !d.Carries(Image) { // pictures alone are no call
		return fmt.Errorf("%w: answered %s", ErrNotAcceptable, strings.Join(reasons, "; "))
	}
	d.bundled(l.Profile)
	return nil
}

// fits takes the answer to one stream.
func (l Leg) fits(heard, offered *Stream) error {
	for j, c := range heard.Codecs {
		k := slices.IndexFunc(offered.Codecs, func(o Codec) bool { return o.PayloadType == c.PayloadType })
		if c.Name == "" && k >= 0 {
			o := offered.Codecs[k] // answered without its rtpmap
			heard.Codecs[j].Name, heard.Codecs[j].Clock, heard.Codecs[j].Channels = o.Name, o.Clock, o.Channels
		}
	}
	if heard.Kind != offered.Kind {
		return fmt.Errorf("m=%s to an offer of m=%s", heard.Kind, offered.Kind)
	}
	if reason := l.unusable(heard); reason != "" {
		return errors.New(reason)
	}
	if heard.Kind != "image" {
		for j, c := range heard.Codecs {
			heard.Codecs[j] = c.answeredAs(offered.Codecs)
		}
		all := heard.Codecs
		heard.Codecs = slices.DeleteFunc(slices.Clone(all), func(c Codec) bool {
			return !slices.ContainsFunc(offered.Codecs, c.Same)
		})
		if !carries(heard.Codecs) {
			return fmt.Errorf("%s to an offer of %s", names(all), names(offered.Codecs))
		}
	}
	heard.Relayed = true
	heard.Direction &= offered.Direction.Reverse()
	heard.Feedback &= offered.Feedback
	if !offered.Remote.Mux {
		heard.Remote.Mux = false
	}
	heard.Remote.settle()
	if heard.Kind == "image" {
		return nil
	}
	remote, reason := l.fit(*heard, *offered)
	if reason != "" {
		heard.Relayed = false
		return errors.New(reason)
	}
	heard.Remote = remote
	return nil
}
