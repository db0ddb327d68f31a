package sdp

import (
	"strings"
	"testing"
)

// bundleText is an offer of a browser with audio (mid 0) and video (mid 1) in a group of that order, the video in front.
func bundleText(group, extra string) []byte {
	section := func(mid, port, rest string) string {
		return port + "c=IN IP4 0.0.0.0\r\na=ice-ufrag:ufrag" + mid + "\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n" +
			"a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:" + mid + "\r\na=rtcp-mux\r\n" + rest
	}
	return []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE " + group + "\r\n" +
		section("1", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "a=rtpmap:96 VP8/90000\r\n") +
		section("0", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", extra))
}

// The bundle has the transport of the first m-line in its group that is carried, and our answer says the group in that order.
func TestBundleIsCarriedByItsFirst(t *testing.T) {
	for _, c := range []struct {
		name, group string
		video       bool
		ufrag, want string
	}{
		{"video in front", "1 0", true, "ufrag1", "1 0"},
		{"audio in front though its m-line is not", "0 1", true, "ufrag0", "0 1"},
		{"video in front, but refused: it stays, inactive", "1 0", false, "ufrag1", "1 0"},
		{"audio in front, video refused", "0 1", false, "ufrag0", "0"},
	} {
		a := must(videoLeg(WebRTC, 'a').HearOffer(bundleText(c.group, "")))(t)
		far := phoneAudio
		if c.video {
			far += "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
		}
		b := must(videoLeg(RTP, 'b').HearOffer([]byte(far)))(t)
		a, text, err := a.Answer(b.Heard)
		if err != nil || !strings.Contains(string(text), "a=group:BUNDLE "+c.want+"\r\n") || a.Remote().Ufrag != c.ufrag {
			t.Errorf("%s: %v, %s\n%s", c.name, err, a.Remote().Ufrag, text)
			continue
		}
		a, text, err = a.Offer(b.Heard)
		if err != nil || !strings.Contains(string(text), "a=group:BUNDLE "+c.want+"\r\n") {
			t.Errorf("%s, offered again: %v\n%s", c.name, err, text)
		}
	}
}

// A video that was refused is no news at each refresh; one that was taken away and comes back is.
func TestRefusedVideoIsNoNews(t *testing.T) {
	audio := must(testLeg(RTP, 'b').HearOffer([]byte(phoneAudio)))(t)
	a := must(videoLeg(WebRTC, 'a').HearOffer(bundleText("0 1", "")))(t)
	a, _, err := a.Answer(audio.Heard)
	if err != nil {
		t.Fatal(err)
	}
	again := must(a.HearOffer(bundleText("0 1", "")))(t)
	if again.Alters(a) {
		t.Error("the refused video is news at a refresh")
	}
	renewed := strings.NewReplacer("BUNDLE 0 1", "BUNDLE 0 2", "mid:1", "mid:2").Replace(string(bundleText("0 1", "")))
	if recycled := must(a.HearOffer([]byte(renewed)))(t); !recycled.Alters(a) {
		t.Error("a new video in the old place is no news")
	}
	gone := strings.NewReplacer("m=video 9", "m=video 0", "BUNDLE 0 1", "BUNDLE 0").Replace(string(bundleText("0 1", "")))
	without, _, err := must(a.HearOffer([]byte(gone)))(t).Answer(audio.Heard)
	if err != nil {
		t.Fatal(err)
	}
	if back := must(without.HearOffer([]byte(renewed)))(t); !back.Alters(without) {
		t.Error("a video that comes back is no news")
	}
}
