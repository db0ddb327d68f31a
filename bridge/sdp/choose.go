package sdp

import (
	"fmt"
	"strings"
)

// choose marks the stream that the bridge carries: the one at its place before where that still can be, else the first of
// those that the leg can answer with the strongest keys. A phone that offers RTP/SAVP and RTP/AVP side by side is thus
// answered on the second only where we have no keys.
func (d *Description) choose(l Leg) error {
	chosen, before := -1, l.Heard.relayed()
	var best RemoteStream
	var reasons []string
	for i, s := range d.Streams {
		reason := s.unusable(l.Profile)
		remote, unkeyed := RemoteStream{}, ""
		if reason == "" {
			s.Remote.settle() // we agree to rtcp-mux wherever it is offered
			remote, unkeyed = l.keyed(s)
		}
		switch {
		case reason+unkeyed != "":
			reasons = append(reasons, reason+unkeyed)
		case chosen < 0 || i == before || chosen != before && remote.strength(l.Policy) > best.strength(l.Policy):
			chosen, best = i, remote
		}
	}
	if chosen < 0 {
		if len(reasons) == 0 {
			reasons = []string{"no m-line"}
		}
		return fmt.Errorf("%w: %s", ErrNotAcceptable, strings.Join(reasons, "; "))
	}
	d.Streams[chosen].Relayed, d.Streams[chosen].Remote = true, best
	return nil
}

// unusable is why a stream cannot be relayed on a leg of this profile, empty where it can.
func (s Stream) unusable(profile Profile) string {
	name := "m=" + s.Kind
	switch {
	case s.Kind != "audio":
		return name + ": not relayed"
	case s.Rejected:
		return name + ": rejected"
	case s.Follows: // RFC 8843 §7.3.1: it cannot carry the bundle, and the m-line that could is refused
		return name + ": bundle-only behind an m-line that is not relayed"
	case !profile.speaks(s.Protocol):
		return fmt.Sprintf("%s: %s is not spoken on a %s leg", name, s.Protocol, profile)
	case !voices(s.Codecs):
		return name + ": no codec that is relayed: " + names(s.Codecs)
	case profile == RTP:
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
