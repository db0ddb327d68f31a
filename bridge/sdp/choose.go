package sdp

import (
	"fmt"
	"strings"
)

// choose marks the streams that the bridge carries, one in each slot: where the one of before still can be carried that, else
// the first of those that the leg can answer with the strongest keys. A phone that offers RTP/SAVP and RTP/AVP side by side is
// thus answered on the second only where we have no keys.
func (l Leg) choose(d *Description) error {
	var reasons []string
	for slot := range Slots {
		reasons = append(reasons, l.chooseIn(slot, d)...)
	}
	if d.main() != nil {
		d.bundled(l.Profile)
		return nil
	}
	for i := range d.Streams {
		if slotOf(d.Streams[i].Kind) < 0 {
			reasons = append(reasons, "m="+d.Streams[i].Kind+": not relayed")
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"no m-line"}
	}
	return fmt.Errorf("%w: %s", ErrNotAcceptable, strings.Join(reasons, "; "))
}

// chooseIn chooses the stream of one slot, and says why the others cannot be carried.
func (l Leg) chooseIn(slot Slot, d *Description) (reasons []string) {
	chosen, before := -1, l.Heard.relayed(slot)
	var best RemoteStream
	for i, s := range d.Streams {
		if slotOf(s.Kind) != slot {
			continue
		}
		reason, remote := l.unusable(&s), s.Remote
		if reason == "" && slot != Image {
			s.Remote.settle() // we agree to rtcp-mux wherever it is offered
			remote, reason = l.keyed(s)
		}
		switch {
		case reason != "":
			reasons = append(reasons, reason)
		case chosen < 0 || i == before || chosen != before && remote.strength(l.Policy) > best.strength(l.Policy):
			chosen, best = i, remote
		}
	}
	if chosen >= 0 {
		d.Streams[chosen].Relayed, d.Streams[chosen].Remote = true, best
	}
	return reasons
}

// unusable is why a stream cannot be carried on this leg, empty where it can.
func (l Leg) unusable(s *Stream) string {
	name := "m=" + s.Kind
	switch {
	case s.Kind == "image" && l.Profile == WebRTC, s.Kind == "video" && !l.Policy.Video, slotOf(s.Kind) < 0:
		return name + ": not relayed"
	case s.Rejected:
		return name + ": rejected"
	case s.Kind == "image":
		if !strings.EqualFold(s.Protocol, "udptl") || !s.Remote.RTP.IsValid() && len(s.Fax) == 0 {
			return name + ": no T.38 over UDPTL"
		}
		if l.Policy.Required {
			return name + ": " + s.Protocol + " without encryption is refused on this leg"
		}
		return ""
	case !l.Profile.speaks(s.Protocol):
		return fmt.Sprintf("%s: %s is not spoken on a %s leg", name, s.Protocol, l.Profile)
	case !carries(s.Codecs):
		return name + ": no codec that is relayed: " + names(s.Codecs)
	case l.Profile == RTP:
		return ""
	case s.ICE.Ufrag == "" || s.ICE.Password == "":
		return name + ": no ICE credentials"
	case len(s.ICE.Fingerprints) == 0:
		return name + ": no DTLS fingerprint"
	case !s.Remote.Mux:
		return name + ": neither rtcp-mux nor BUNDLE"
	}
	return ""
}
