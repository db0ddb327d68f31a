package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// picture says whether it is a video codec that the relay passes. Retransmission and FEC formats stay behind: they wrap payload
// types of one leg; NACK works without.
func (c Codec) picture() bool {
	if c.Clock != 90000 {
		return false
	}
	switch strings.ToLower(c.Name) {
	case "vp8", "vp9", "h264", "h265", "av1":
		return true
	}
	return false
}

// bandwidthOf are the limits of a section that are understood everywhere: AS in kbit/s, TIAS in bit/s (RFC 8866 §5.8, RFC 3890).
func bandwidthOf(s section) []string {
	var all []string
	for _, value := range s.bandwidth {
		kind, limit, _ := strings.Cut(value, ":")
		if n, err := strconv.ParseUint(limit, 10, 32); err == nil && n > 0 && (kind == "AS" || kind == "TIAS") {
			all = append(all, kind+":"+limit)
		}
	}
	return all
}

// variant is what beside the name two ends have to agree on: H.264's profile and packetization mode (RFC 6184 §8.2.2; the
// level may differ), the profiles of VP9, AV1 and H.265.
func (c Codec) variant() string {
	if c.Clock != 90000 { // a voice
		return ""
	}
	switch strings.ToLower(c.Name) {
	case "h264":
		return c.parameter("packetization-mode", "0") + "/" + h264Profile(c.parameter("profile-level-id", "42e00a"))
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

// h264Profile is a profile-level-id without its level (RFC 6184 §8.1, table 5: a profile has several spellings). Who names none
// means Constrained Baseline, as browsers take it, for nobody encodes what Baseline has beyond that.
func h264Profile(id string) string {
	n, err := strconv.ParseUint(id, 16, 24)
	if err != nil || len(id) != 6 {
		return id
	}
	indication, constraints := n>>16, n>>8&0xff
	switch {
	case indication == 0x42 && constraints&0x4f == 0x40, indication == 0x4d && constraints&0x8f == 0x80,
		indication == 0x58 && constraints&0xcf == 0xc0:
		return "constrained-baseline"
	case indication == 0x42 && constraints&0x4f == 0, indication == 0x58 && constraints&0xcf == 0x80:
		return "baseline"
	case indication == 0x4d && constraints&0xaf == 0:
		return "main"
	}
	return id[:4]
}

// answeredAs takes a codec of an answer for that of the offer whose payload type it has, where its own format says nothing or
// something that nobody offered: what an answer leaves in is symmetric (RFC 6184 §8.2.2), and phones leave the format out.
func (c Codec) answeredAs(offered []Codec) Codec {
	i := slices.IndexFunc(offered, func(o Codec) bool { return o.PayloadType == c.PayloadType && strings.EqualFold(o.Name, c.Name) })
	if i < 0 || !c.picture() || c.Format != "" && slices.ContainsFunc(offered, c.Same) {
		return c
	}
	c.Format = offered[i].Format
	return c
}
