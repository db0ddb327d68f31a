package sdp

import (
	"slices"
	"strings"
)

// picture says whether it is a video codec that the relay passes. Retransmission and FEC formats stay behind: they wrap payload
// types of one leg; NACK works without.
func (c Codec) picture() bool {
	switch strings.ToLower(c.Name) {
	case "vp8", "vp9", "h264", "h265", "av1":
		return c.Clock == 90000
	}
	return false
}

// variant is what beside the name two ends have to agree on: H.264's profile and packetization mode (RFC 6184 §8.2.2; the
// level may differ), the profiles of VP9, AV1 and H.265.
func (c Codec) variant() string {
	switch strings.ToLower(c.Name) {
	case "h264":
		return c.parameter("packetization-mode", "0") + "/" + h264Profile(c.parameter("profile-level-id", "42000a"))
	case "vp9":
		return c.parameter("profile-id", "0")
	case "av1":
		return c.parameter("profile", "0")
	case "h265":
		return c.parameter("profile-id", "1")
	}
	return ""
}

// parameter is one of the format's, in lower case, or what its absence means.
func (c Codec) parameter(name, absent string) string {
	for p := range strings.SplitSeq(c.Format, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(key, name) {
			return strings.ToLower(strings.TrimSpace(value))
		}
	}
	return absent
}

// h264Profile is a profile-level-id without its level. Constrained Baseline has several spellings (RFC 6184 §8.1, table 5).
func h264Profile(id string) string {
	if len(id) != 6 {
		return id
	}
	baseline := []string{"42e0", "42c0", "4240", "4d80", "4de0", "4dc0", "5880", "58c0", "58e0"}
	if slices.Contains(baseline, id[:4]) {
		return "constrained-baseline"
	}
	return id[:4]
}
