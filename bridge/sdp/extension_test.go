package sdp

import (
	"strings"
	"testing"
)

const (
	avpf  = head + "m=audio 4000 RTP/AVPF 0\r\nA" + "m=video 4002 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\nV"
	level = "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
	tilt  = "urn:3gpp:video-orientation\r\n"
)

func avpfText(audio, video string) []byte {
	return []byte(strings.NewReplacer("\r\nA", "\r\n"+audio, "\r\nV", "\r\n"+video).Replace(avpf))
}

// A browser and a PBX with feedback number their extensions otherwise; the packets are renumbered, and an id keeps its meaning.
func TestExtensionsAreRenumbered(t *testing.T) {
	offer := bundleText("1 0", "a=extmap:1 "+level+"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n")
	a := must(videoLeg(WebRTC, 'a').HearOffer(offer))(t)
	b := must(videoLeg(RTP, 'b').HearOffer(avpfText("a=extmap:4 "+level, "a=extmap:1/sendonly "+tilt)))(t)
	b, text, err := b.Answer(a.Heard)
	if err != nil || !strings.Contains(string(text), "a=extmap:4 "+level) || strings.Contains(string(text), tilt) {
		t.Fatalf("%v\n%s", err, text)
	}
	a, text, err = a.Answer(b.Heard)
	if err != nil || !strings.Contains(string(text), "a=extmap:1 "+level) || strings.Contains(string(text), "sdes:mid") {
		t.Fatalf("%v\n%s", err, text)
	}
	plan, err := Join(a, b)
	if err != nil || plan.Streams[Audio].Extension[0] != [16]uint8{1: 4} || plan.Streams[Audio].Extension[1] != [16]uint8{4: 1} {
		t.Fatalf("%v\n%s", err, planText(plan))
	}
	b = must(b.HearOffer(avpfText("a=extmap:4 "+level, "a=extmap:1 "+tilt)))(t) // 1 and 4 are taken on the browser's leg
	a, text, err = a.Offer(b.Heard)
	if err != nil || !strings.Contains(string(text), "a=extmap:1 "+level) || !strings.Contains(string(text), "a=extmap:2 "+tilt) {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(a.Rollback().Extension) != len(a.Extension) {
		t.Error("an id that the browser has seen is forgotten")
	}
}

// What is there for feedback only is negotiated only with it, and plain RTP/AVP has no extensions.
func TestExtensionsForFeedback(t *testing.T) {
	marks := "a=extmap:2 " + sendTime + "\r\na=extmap:3 " + transportWide + "\r\n"
	for _, c := range []struct {
		name, feedback      string
		sendTime, transport bool
	}{
		{"none", "", false, false},
		{"estimates", "a=rtcp-fb:96 goog-remb\r\n", true, false},
		{"transport-wide", "a=rtcp-fb:96 transport-cc\r\n", false, true},
	} {
		a := must(videoLeg(RTP, 'a').HearOffer(avpfText(marks, marks+c.feedback)))(t)
		_, text, err := a.Answer(nil)
		audio, video, _ := strings.Cut(string(text), "m=video")
		if err != nil || strings.Contains(audio, "extmap") || strings.Contains(video, sendTime) != c.sendTime ||
			strings.Contains(video, transportWide) != c.transport {
			t.Errorf("%s: %v\n%s", c.name, err, text)
		}
		if _, text, err := videoLeg(RTP, 'b').Offer(a.Heard); err != nil || strings.Contains(string(text), "extmap") {
			t.Errorf("offered under RTP/AVP: %v\n%s", err, text)
		}
	}
}
