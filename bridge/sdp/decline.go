package sdp

import (
	"fmt"
	"slices"
)

// Decline answers a re-offer of which nothing can be relayed: the peer dropped the stream, or made of it one that is not ours.
// Every m-line is rejected (RFC 3264 §6), for a browser cannot take a refused offer back. The leg then is Resting: the stream
// that was relayed is inactive on both sides, with the codecs that it had, until another offer of the peer's takes it up.
// ErrMalformed for what is no SDP or lacks m-lines, ErrNoState while an offer is open and before the first exchange.
func (l Leg) Decline(text []byte) (Leg, []byte, error) {
	if l.Pending != Stable || l.Heard.main() == nil || l.Said.main() == nil {
		return l, nil, fmt.Errorf("%w: a re-offer is to be declined while %s", ErrNoState, l.Pending)
	}
	offer, err := describe(text, l.Profile)
	if err != nil {
		return l, nil, err
	}
	if len(offer.Streams) < len(l.Said.Streams) {
		return l, nil, fmt.Errorf("%w: %d m-lines after %d", ErrMalformed, len(offer.Streams), len(l.Said.Streams))
	}
	said := &Description{Answer: true, ICELite: l.Profile == WebRTC, Origin: l.origin(l.Version + 1)}
	for _, s := range offer.Streams {
		said.Streams = append(said.Streams, s.rejected())
	}
	next := l
	next.Version, next.Text, next.Resting = l.Version+1, string(write(l.Profile, said)), true
	next.Said = l.Said.resting(said.Streams)
	next.Heard = l.Heard.resting(said.Streams)
	return next, next.Repeat(), nil
}

// resting is a description whose m-lines are all rejected but those that were carried, which are inactive.
func (d *Description) resting(rejected []Stream) *Description {
	rests := *d
	rests.Answer = false // by it, what an answer leaves out would not count as missed
	rests.Streams = slices.Clone(rejected)
	for i, s := range d.Streams {
		if s.Relayed {
			s.Direction = Inactive
			rests.Streams[i] = s
		}
	}
	return &rests
}
