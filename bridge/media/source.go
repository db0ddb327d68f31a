package media

// contest is who may be heard in a stream whose peer is genuine already (an address that is locked, or SRTP). A PBX changes
// its SSRC at hold, transfer and the end of early media without a word, and no packet of the new source may be lost; a packet
// with a forged address must not take the stream over. So a newcomer is heard at once, on trial: where the source that it
// displaced goes on, that one is heard again, and from then on for a while a newcomer has to prove itself first.
type contest struct {
	former     uint32 // the source that a newcomer displaced
	trial      uint8  // packets that the newcomer on trial has to come by still
	returned   uint8  // packets of the former since
	gone       bool   // the source said BYE
	challenger uint32 // who has to prove itself
	row        uint8  // its packets in a row
	until      int64  // newcomers have to prove themselves
}

// arbitrate says whether a packet of that source is to be heard; where it is and the source is another, begin follows.
func (r *reception) arbitrate(ssrc uint32, now int64) DropReason {
	c := &r.contest
	switch {
	case !r.heard:
		return dropNone
	case ssrc == r.ssrc:
		c.row = 0
		if c.trial > 0 {
			c.trial--
		}
		r.watch = c.trial > 0
		return dropNone
	case c.trial > 0 && ssrc == c.former:
		if c.returned++; c.returned < incumbent {
			return DropSSRC // it may have been overtaken
		}
		*c = contest{until: now + contestSpell}
	case c.gone || now >= c.until:
		trial := uint8(lockAfter)
		if c.gone {
			trial = 0
		}
		*c = contest{former: r.ssrc, trial: trial, until: c.until}
	default:
		if ssrc != c.challenger {
			c.challenger, c.row = ssrc, 0
		}
		if c.row++; c.row < lockAfter {
			r.watch = true
			return DropSSRC
		}
		*c = contest{until: c.until}
	}
	r.watch = c.trial > 0
	return dropNone
}

// goodbye takes a BYE of a source (RFC 3550 §6.6).
func (r *reception) goodbye(ssrc uint32) {
	if r.heard && ssrc == r.ssrc {
		r.contest.gone = true
	}
}
