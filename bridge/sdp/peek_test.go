package sdp

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOfferedAudio(t *testing.T) {
	const session = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
	const audio = "m=audio 4000 RTP/AVP 0\n"
	for _, c := range []struct {
		name, text string
		rtp, rtcp  string // empty: refused
		ufrag      string
	}{
		{"an address", session + audio, "192.0.2.1:4000", "192.0.2.1:4001", ""},
		{"of its own", session + audio + "c=IN IP4 192.0.2.9\na=rtcp:4007\n", "192.0.2.9:4000", "192.0.2.9:4007", ""},
		{"rtcp-mux", session + audio + "a=rtcp-mux\n", "192.0.2.1:4000", "192.0.2.1:4000", ""},
		{"ICE", session + "a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n" + audio, "192.0.2.1:4000", "192.0.2.1:4001", "abcd"},
		{"with pictures", session + "m=video 5000 RTP/AVP 96\na=rtpmap:96 VP8/90000\n" + audio, "192.0.2.1:4000", "192.0.2.1:4001", ""},
		{"two of them", session + audio + "m=audio 4002 RTP/SAVP 0\n", "", "", ""},
		{"on hold the old way", session + audio + "c=IN IP4 0.0.0.0\n", "", "", ""},
		{"rejected", session + "m=audio 0 RTP/AVP 0\n", "", "", ""},
		{"none", session, "", "", ""},
		{"no SDP", "v=", "", "", ""},
	} {
		got, ok := OfferedAudio([]byte(strings.ReplaceAll(c.text, "\n", "\r\n")))
		if ok != (c.rtp != "") {
			t.Errorf("%s: %v, %+v", c.name, ok, got)
			continue
		}
		if !ok {
			continue
		}
		if got.RTP != netip.MustParseAddrPort(c.rtp) || got.Control() != netip.MustParseAddrPort(c.rtcp) || got.Ufrag != c.ufrag {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
