package wsstest

import (
	"strconv"
	"strings"

	"github.com/pion/webrtc/v4"
)

// follow goes over to another codec where the peer's description no longer has ours: browsers do, pion's sender stays with its first.
func (t *track) follow(text string) {
	codecs := audioCodecs(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out == nil || len(codecs) == 0 {
		return
	}
	var next webrtc.RTPCodecParameters
	for _, codec := range codecs {
		name := codecName(codec.MimeType)
		switch {
		case codec.PayloadType == t.codec.PayloadType:
			return
		case name != telephoneEvent && (next.MimeType == "" || name == "PCMU" || name == "PCMA" && codecName(next.MimeType) != "PCMU"):
			next = codec
		}
	}
	if next.MimeType != "" {
		t.codec = next
	}
}

// audioCodecs are the codecs of the first m=audio with an rtpmap, in its order.
func audioCodecs(text string) []webrtc.RTPCodecParameters {
	_, section, _ := strings.Cut(text, "m=audio ")
	section, _, _ = strings.Cut(section, "\r\nm=")
	var out []webrtc.RTPCodecParameters
	for line := range strings.Lines(section) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "a=rtpmap:")
		payload, encoding, _ := strings.Cut(value, " ")
		pt, err := strconv.ParseUint(payload, 10, 7)
		name, rest, _ := strings.Cut(encoding, "/")
		rate, _, _ := strings.Cut(rest, "/")
		clock, bad := strconv.ParseUint(rate, 10, 32)
		if !ok || err != nil || bad != nil {
			continue
		}
		out = append(out, webrtc.RTPCodecParameters{
			PayloadType:        webrtc.PayloadType(pt),
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/" + name, ClockRate: uint32(clock)},
		})
	}
	return out
}
