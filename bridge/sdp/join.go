package sdp

import (
	"cmp"
	"fmt"
	"slices"
)

// PayloadTable maps payload types of one leg to the other's; 0xff drops.
type PayloadTable [128]uint8

// Drop is the PayloadTable's entry for a payload type that is not relayed.
const Drop = 0xff

// Plan is what the media engine obeys for two joined legs. Plain immutable value.
type Plan struct {
	Streams []PlannedStream // by slot; Kind is empty where a slot has no stream
}

// PlannedStream is one relayed m-line. Index 0 is leg a of Join, 1 leg b.
type PlannedStream struct {
	Kind    string          // "audio", "video", "image"
	Payload [2]PayloadTable // [0]: packets that come from leg 0
	Forward [2]bool         // whether packets that come from leg 0 (1) are to be relayed, by both legs' directions
	// Expect says whether the peer of leg 0 (1) is to send now: liveness. A peer that holds us is not, though its
	// sendonly lets it: hold without music is common.
	Expect [2]bool
	// Codec is the preferred codec that both legs have, Telephone the leg's telephone-event at that codec's clock (at
	// another where it has none there; Name empty where it has none at all). Payload types are those of packets sent to
	// the leg's peer.
	Codec     [2]Codec
	Telephone [2]Codec
	// Reoffer says whether the peer of leg 0 (1) prefers a voice codec that the other leg lacks, so that what it sends
	// now is dropped: it needs a new Offer from the other leg's Heard.
	Reoffer [2]bool
	// Transcode says that a peer sends a voice codec that the other leg lacks: Codec[0] and Codec[1] then differ and what
	// comes with From[0] (From[1]) is converted to the other's Codec. Nothing else of the stream passes.
	Transcode bool
	// From and EventFrom are the payload types with which the peer of leg 0 (1) sends Codec and Telephone; Drop: none. Where
	// the legs' telephone-events have different clocks the Payload table drops them, and they are sent anew.
	From, EventFrom [2]uint8
	Ptime           [2]int // ms that the peer of leg 0 (1) wants to receive; 0: whatever comes
	// Extension maps the header extension ids of packets from leg 0 (1) to the other leg's; 0: taken off (RFC 8285).
	Extension [2][16]uint8
	Feedback  [2]Feedback // what leg 0 (1) negotiated
}

// Join plans the media between two legs by their latest finished exchanges: an offer that is still open changes nothing
// yet. ErrNotAcceptable where no codec is shared and none converted, ErrNoState where a leg has finished none.
func Join(a, b Leg) (Plan, error) {
	legs := [2]Leg{a.agreed(), b.agreed()}
	for i, l := range legs {
		if l.Heard.main() == nil || l.Said.main() == nil {
			return Plan{}, fmt.Errorf("%w: leg %c has finished no offer and answer", ErrNoState, 'a'+i)
		}
	}
	var plan Plan
	var refused error
	for slot := range Slots {
		both := [2]agreement{legs[0].agreement(slot), legs[1].agreement(slot)}
		if both[0].heard == nil || both[0].said == nil || both[1].heard == nil || both[1].said == nil {
			continue
		}
		s, err := join(both)
		if err != nil {
			refused = err
			continue
		}
		for len(plan.Streams) < slot {
			plan.Streams = append(plan.Streams, noStream())
		}
		plan.Streams = append(plan.Streams, s)
	}
	if len(plan.Streams) == 0 || plan.Streams[Audio].Kind == "" && refused != nil {
		return Plan{}, cmp.Or(refused, fmt.Errorf("%w: the legs have no stream in common", ErrNotAcceptable))
	}
	return plan, nil
}

// noStream is a slot without a stream: no payload type is its.
func noStream() PlannedStream {
	none := PlannedStream{From: [2]uint8{Drop, Drop}, EventFrom: [2]uint8{Drop, Drop}}
	for i := range none.Payload {
		none.Payload[i] = table(nil, i, nil, false)
	}
	return none
}

// agreement is one stream of a leg, as its finished exchange has it.
type agreement struct {
	heard, said *Stream
	answered    bool // the peer did, else we
	convert     bool
	profile     Profile
	common      []common // the leg's codecs, in the order of the answer
}

func (l Leg) agreement(slot Slot) agreement {
	a := agreement{
		heard: l.Heard.at(slot), said: l.Said.at(slot), answered: l.Heard.Answer, convert: l.Policy.Transcode, profile: l.Profile,
	}
	if a.heard != nil && a.said != nil {
		a.common = commonsOf(a.said.Codecs, a.heard.Codecs, a.answered)
	}
	return a
}

// join plans one stream.
func join(legs [2]agreement) (PlannedStream, error) {
	s := noStream()
	s.Kind = legs[0].heard.Kind
	for i, l := range legs {
		s.Forward[i] = l.sends() && legs[1-i].receives()
		s.Expect[i] = s.Kind == "audio" && l.sends() && l.receives()
		s.Ptime[i] = l.heard.Remote.Ptime
		s.Feedback[i] = l.feedback()
		s.Extension[i] = extensionTable(l.extensions(), legs[1-i].extensions())
	}
	if s.Kind == "image" {
		return s, nil
	}
	both := commons(legs)
	chosen, err := s.choose(legs, both)
	if err != nil {
		return s, err
	}
	for i, l := range legs {
		s.Codec[i], s.From[i] = chosen.codec[i].heard, chosen.codec[i].said.PayloadType
		s.Payload[i] = table(both, i, l.common, s.Transcode)
		if s.Kind == "audio" {
			s.Telephone[i], s.EventFrom[i] = l.telephone(s.Codec[i].Clock)
			s.Reoffer[i] = !s.Transcode && !has(both, i, l.firstVoice())
		}
	}
	return s, nil
}

// choose is with what codecs the legs go on: with one that both have, so that packets pass, unless what the peers are going to
// send is to be converted.
func (s *PlannedStream) choose(legs [2]agreement, both []pair) (pair, error) {
	first := pair{[2]common{legs[0].firstVoice(), legs[1].firstVoice()}}
	passes := has(both, 0, first.codec[0]) && has(both, 1, first.codec[1])
	if s.Kind == "audio" && legs[0].convert && legs[1].convert && !passes {
		s.Transcode = true
		return first, nil
	}
	i := slices.IndexFunc(both, func(p pair) bool { return carries([]Codec{p.codec[0].heard}) })
	if i < 0 {
		return pair{}, fmt.Errorf("%w: no common codec: one leg has %s, the other %s", ErrNotAcceptable,
			names(legs[0].said.Codecs), names(legs[1].said.Codecs))
	}
	return both[i], nil
}

// has says whether a codec of one leg is among those that both have.
func has(both []pair, leg int, c common) bool {
	return slices.ContainsFunc(both, func(p pair) bool { return p.codec[leg].said.Same(c.said) })
}

// feedback is what the leg's peer takes. Who says nothing of feedback under plain RTP is asked for a picture all the same: PBXs
// and phones that know the request obey it, and others pass over RTCP that they do not know (RFC 3550 §6.1).
func (l agreement) feedback() Feedback {
	both := l.heard.Feedback & l.said.Feedback
	if both == 0 && l.heard.Kind == "video" && l.profile == RTP {
		return pictureRequests
	}
	return both
}

// extensions are the header extensions that both descriptions have.
func (l agreement) extensions() []Extension {
	return sharedExtensions(l.said.Extension, l.heard.Extension)
}

// sends says whether both descriptions let the peer send.
func (l agreement) sends() bool { return l.heard.Direction.Sends() && l.said.Direction.Receives() }

// receives says whether both descriptions let the peer receive.
func (l agreement) receives() bool { return l.heard.Direction.Receives() && l.said.Direction.Sends() }

// common is one codec of a leg: as it stands in our description, whose payload type the peer's packets carry, and in the
// peer's, whose payload type packets to the peer must carry (RFC 3264 §5.1; they may differ).
type common struct{ said, heard Codec }

// pair is one codec that both legs have.
type pair struct{ codec [2]common }

// commonsOf are a leg's codecs, in the order of the answer.
func commonsOf(said, heard []Codec, answered bool) []common {
	lead, other := said, heard
	if answered {
		lead, other = heard, said
	}
	all := make([]common, 0, len(lead))
	for c := range relayables(lead) {
		i := slices.IndexFunc(other, c.Same)
		switch {
		case i < 0:
		case answered:
			all = append(all, common{said: other[i], heard: c})
		default:
			all = append(all, common{said: c, heard: other[i]})
		}
	}
	return all
}

// firstVoice is the voice codec that the answer put first.
func (l agreement) firstVoice() common {
	all := l.common
	if i := slices.IndexFunc(all, func(c common) bool { return c.said.voice() }); i >= 0 {
		return all[i]
	}
	return common{}
}

// commons are the codecs that both legs have, in the order of the peer that answered: our own answer repeats its.
func commons(legs [2]agreement) []pair {
	lead := 0
	if legs[1].answered && !legs[0].answered {
		lead = 1
	}
	mine, theirs := legs[lead].common, legs[1-lead].common
	var all []pair
	for _, m := range mine {
		i := slices.IndexFunc(theirs, func(t common) bool { return t.said.Same(m.said) })
		if i < 0 {
			continue
		}
		var p pair
		p.codec[lead], p.codec[1-lead] = m, theirs[i]
		all = append(all, p)
	}
	return all
}

// table maps what comes from one leg's peer; all are the leg's codecs. Some phones send with the numbers of their own
// answer instead of the offer's; those are understood too where they mean nothing else.
// What is converted passes no table.
func table(both []pair, from int, all []common, convert bool) PayloadTable {
	var t PayloadTable
	for i := range t {
		t[i] = Drop
	}
	if convert {
		return t
	}
	for _, p := range both {
		t[p.codec[from].said.PayloadType] = p.codec[1-from].heard.PayloadType
	}
	for _, p := range both {
		own := p.codec[from].heard.PayloadType
		if !slices.ContainsFunc(all, func(c common) bool { return c.said.PayloadType == own }) {
			t[own] = p.codec[1-from].heard.PayloadType
		}
	}
	return t
}

// telephone is the leg's telephone-event that goes with a codec of this clock, and with which payload type its peer sends it.
func (l agreement) telephone(clock int) (Codec, uint8) {
	all := l.common
	events := make([]Codec, len(all))
	for i, c := range all {
		events[i] = c.heard
	}
	event, found := telephoneAt(events, clock)
	if !found {
		return Codec{}, Drop
	}
	i := slices.IndexFunc(all, func(c common) bool { return c.heard == event })
	return event, all[i].said.PayloadType
}
