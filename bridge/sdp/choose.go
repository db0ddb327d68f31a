package sdp

import (
	"fmt"
	"strings"
)

// choose marks the stream that the bridge carries: the one at index before where that still can be, else the first that
// this profile can answer. A phone that offers RTP/SAVP and RTP/AVP side by side is thus answered on the second.
func (d *Description) choose(profile Profile, before int) error {
	chosen := -1
	var reasons []string
	for i := range d.Streams {
		if reason := d.Streams[i].unusable(profile); reason != "" {
			reasons = append(reasons, reason)
		} else if chosen < 0 || i == before {
			chosen = i
		}
	}
	if chosen < 0 {
		if len(reasons) == 0 {
			reasons = []string{"no m-line"}
		}
		return fmt.Errorf("%w: %s", ErrNotAcceptable, strings.Join(reasons, "; "))
	}
	d.Streams[chosen].Relayed = true
	d.Streams[chosen].Remote.settle() // we agree to rtcp-mux wherever it is offered
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
	case !profile.speaks(s.Protocol) && strings.Contains(s.Protocol, "SAVP"):
		return fmt.Sprintf("%s: secure RTP (%s) is not spoken on this leg, only RTP/AVP", name, s.Protocol)
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
