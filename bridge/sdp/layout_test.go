package sdp

import (
	"strings"
	"testing"
)

// A video that the browser refused is offered anew in its old place, under a mid of its own.
func TestRefusedPlaceIsUsedAgain(t *testing.T) {
	far := must(videoLeg(RTP, 'a').HearOffer([]byte(phoneAudio + "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n")))(t)
	b, offer, err := videoLeg(WebRTC, 'b').Offer(far.Heard)
	if err != nil || !strings.Contains(string(offer), "a=group:BUNDLE 0 1\r\n") {
		t.Fatalf("%v\n%s", err, offer)
	}
	refused := string(rtcText(1, "sendrecv", "active")) + "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
	b = must(b.HearAnswer([]byte(refused)))(t)
	b, offer, err = b.Offer(far.Heard)
	if err != nil || !strings.Contains(string(offer), "a=group:BUNDLE 0 2\r\n") || strings.Count(string(offer), "\r\nm=") != 2 {
		t.Fatalf("%v\n%s", err, offer)
	}
	taken := strings.NewReplacer("m=video 0", "m=video 9", "mid:1\r\n", "mid:2\r\na=rtpmap:96 VP8/90000\r\n", "BUNDLE 0", "BUNDLE 0 2").Replace(refused)
	b = must(b.HearAnswer([]byte(taken)))(t)
	if !b.Heard.Carries(Video) {
		t.Fatal("the video is not carried")
	}
	if _, again, err := b.Offer(far.Heard); err != nil || !strings.Contains(string(again), "a=group:BUNDLE 0 2\r\n") {
		t.Errorf("%v\n%s", err, again)
	}
}
