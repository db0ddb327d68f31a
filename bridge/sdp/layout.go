package sdp

import (
	"slices"
	"strconv"
)

// layout is an offer's m-lines as they stand since the latest exchange, all refused or idle: each keeps its place (RFC 3264 §8).
func (l Leg) layout() *Description {
	d := &Description{}
	if l.Said != nil {
		d.Bundle = l.Said.Bundle
		for _, s := range l.Said.Streams {
			if !s.Idle {
				s = s.rejected()
			}
			d.Streams = append(d.Streams, s)
		}
	}
	return d
}

// place is the m-line of said in which a slot's stream is offered, and what of it stays: the one where it is carried, else a
// refused one of its kind, else that of a kind which the other leg's text does not have any more (a fax in place of the audio,
// as the other side did it, and the audio in place of the fax), else a new one at the end, -1.
func (l Leg) place(slot Slot, said, other *Description) (int, Stream) {
	if i := l.Said.relayed(slot); i >= 0 && l.Heard.Carries(slot) {
		return i, l.Said.Streams[i]
	}
	kind := kinds()[slot]
	if i := slices.IndexFunc(said.Streams, func(s Stream) bool { return s.Kind == kind && s.Idle }); i >= 0 {
		return i, said.Streams[i]
	}
	free := func(kind string) int {
		return slices.IndexFunc(said.Streams, func(s Stream) bool { return s.Kind == kind && s.Rejected })
	}
	i := free(kind)
	for _, instead := range kinds() {
		gone := !slices.ContainsFunc(other.Streams, func(s Stream) bool { return s.Kind == instead })
		if i < 0 && gone && l.Profile == RTP {
			i = free(instead)
		}
	}
	return i, Stream{Kind: kind, MID: l.newMID(said)}
}

// newMID is a mid that no m-line has: a place that is used again is another m-line (RFC 8829 §5.2.2). Empty where our offers
// have none.
func (l Leg) newMID(said *Description) string {
	if !l.named() {
		return ""
	}
	for n := len(said.Streams); ; n++ {
		mid := strconv.Itoa(n)
		if !slices.ContainsFunc(said.Streams, func(s Stream) bool { return s.MID == mid }) {
			return mid
		}
	}
}

// put sets a stream into the m-line that place found.
func (d *Description) put(at int, s Stream) {
	if at < 0 {
		d.Streams = append(d.Streams, s)
		return
	}
	d.Streams[at] = s
}
