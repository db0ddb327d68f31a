package sdp

import "slices"

// Wish is what the peer is known to want, for an offer to the other leg's peer that asked for one and made none (RFC 6337 §5.3): an
// answer says nothing of a direction that our offer had taken away, and whoever held may end it by such an offer. Nil where nothing
// was heard.
func (l Leg) Wish() *Description {
	l = l.agreed()
	if l.Heard == nil || !l.Heard.Answer {
		return l.Heard
	}
	wish := *l.Heard
	wish.Streams = slices.Clone(wish.Streams)
	for slot := range Slots {
		if s, said := wish.at(slot), l.Said.at(slot); s != nil && said != nil {
			s.Direction |= SendRecv &^ said.Direction.Reverse()
		}
	}
	return &wish
}
