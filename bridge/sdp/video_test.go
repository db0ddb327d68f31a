package sdp

import (
	"errors"
	"strings"
	"testing"
)

func TestH264Variants(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"packetization-mode=1;profile-level-id=42e01f", "profile-level-id=42E00C; packetization-mode=1", true}, // the level may differ
		{"packetization-mode=1;profile-level-id=42001f", "packetization-mode=1;profile-level-id=42801F", true},  // Baseline, as Linphone spells it
		{"packetization-mode=1;profile-level-id=4d001f", "packetization-mode=1;profile-level-id=4d401e", true},  // Main
		{"packetization-mode=1;profile-level-id=42e01f", "packetization-mode=1;profile-level-id=4d8028", true},  // Constrained Baseline by Main's number
		{"packetization-mode=1;profile-level-id=42e01f", "packetization-mode=0;profile-level-id=42e01f", false},
		{"packetization-mode=1;profile-level-id=42e01f", "packetization-mode=1;profile-level-id=42001f", false},
		{"packetization-mode=1;profile-level-id=640c1f", "packetization-mode=1;profile-level-id=64001f", false},
		{"packetization-mode=1;profile-level-id=42001f", "packetization-mode=1;profile-level-id=4d001f", false},
		{"", "packetization-mode=0;profile-level-id=42e01f", true},
		{"profile-level-id=nonsense", "profile-level-id=42e01f", false},
	} {
		a, b := Codec{96, "H264", 90000, 1, c.a}, Codec{97, "h264", 90000, 1, c.b}
		if a.Same(b) != c.same || b.Same(a) != c.same {
			t.Errorf("%q and %q: %t", c.a, c.b, a.Same(b))
		}
	}
}

// videoLeg carries video and has ports for it.
func videoLeg(profile Profile, name byte) Leg {
	l := testLeg(profile, name)
	l.Policy.Video = true
	if profile == RTP {
		l.Local.Ports = append(l.Local.Ports, l.Local.Ports[0]+2, l.Local.Ports[0]+4)
	}
	return l
}

const (
	phoneAudio = head + "m=audio 4000 RTP/AVP 0\r\n"
	twoModes   = phoneAudio + "m=video 4002 RTP/AVP 102 104\r\na=rtpmap:102 H264/90000\r\n" +
		"a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:104 H264/90000\r\n" +
		"a=fmtp:104 packetization-mode=0;profile-level-id=42e01f\r\n"
)

// What an answer says of H.264 by its payload type alone is what was offered under it.
func TestH264AnsweredByNumber(t *testing.T) {
	a := must(videoLeg(RTP, 'a').HearOffer([]byte(twoModes)))(t)
	for _, c := range []struct{ name, video, want string }{
		{"no format", "102\r\na=rtpmap:102 H264/90000\r\n", " RTP/AVP 102\r\n"},
		{"no rtpmap", "104\r\n", " RTP/AVP 104\r\n"},
		{"a profile that nobody offered", "102\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=64001f\r\n", " RTP/AVP 102\r\n"},
		{"the other's under this number", "102\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 profile-level-id=42e00d\r\n", " RTP/AVP 104\r\n"},
	} {
		b, _, err := videoLeg(RTP, 'b').Offer(a.Heard)
		if err != nil {
			t.Fatal(err)
		}
		b = must(b.HearAnswer([]byte(phoneAudio + "m=video 4002 RTP/AVP " + c.video)))(t)
		answered, text, err := a.Answer(b.Heard)
		if err != nil || !strings.Contains(string(text), "m=video 20002"+c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, text)
			continue
		}
		if plan, err := Join(answered, b); err != nil || plan.Streams[Video].From[0] == Drop {
			t.Errorf("%s: %v\n%s", c.name, err, planText(plan))
		}
	}
}

// Who says nothing of feedback is asked for pictures all the same, and the other leg may ask by whichever request it knows.
func TestPictureRequests(t *testing.T) {
	vp8 := phoneAudio + "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
	a := must(videoLeg(RTP, 'a').HearOffer([]byte(vp8 + "a=rtcp-fb:* ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 goog-remb\r\n")))(t)
	b, offer, err := videoLeg(RTP, 'b').Offer(a.Heard)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nack\r\n", "nack pli\r\n", "ccm fir\r\n", "goog-remb\r\n"} {
		if !strings.Contains(string(offer), "a=rtcp-fb:96 "+name) {
			t.Errorf("no %q offered:\n%s", name, offer)
		}
	}
	b = must(b.HearAnswer([]byte(vp8)))(t)
	a, answer, err := a.Answer(b.Heard)
	if err != nil || strings.Count(string(answer), "a=rtcp-fb") != 1 || !strings.Contains(string(answer), "a=rtcp-fb:96 ccm fir\r\n") {
		t.Errorf("%v\n%s", err, answer)
	}
	plan, err := Join(a, b)
	if err != nil || plan.Streams[Video].Feedback != [2]Feedback{FIR, PLI | FIR} {
		t.Errorf("%v\n%s", err, planText(plan))
	}
}

func TestPicturesAloneAreNoCall(t *testing.T) {
	a := must(videoLeg(RTP, 'a').HearOffer([]byte(twoModes)))(t)
	b, _, err := videoLeg(RTP, 'b').Offer(a.Heard)
	if err != nil {
		t.Fatal(err)
	}
	answer := strings.Replace(twoModes, "m=audio 4000", "m=audio 0", 1)
	if _, err := b.HearAnswer([]byte(answer)); !errors.Is(err, ErrNotAcceptable) || !strings.Contains(err.Error(), "m=audio: rejected") {
		t.Errorf("error %v", err)
	}
}

// What one peer can take of pictures is said to the other; limits that are not understood are passed over.
func TestBandwidthCrosses(t *testing.T) {
	limits := "b=AS:3072\r\nb=TIAS:x\r\nb=RR:0\r\nb=TIAS:2500000\r\n"
	text := strings.Replace(twoModes, "102 104\r\n", "102 104\r\n"+limits, 1)
	a := must(videoLeg(RTP, 'a').HearOffer([]byte(text)))(t)
	b, offer, err := videoLeg(WebRTC, 'b').Offer(a.Heard)
	if err != nil || !strings.Contains(string(offer), "c=IN IP4 203.0.113.7\r\nb=AS:3072\r\nb=TIAS:2500000\r\na=mid:1\r\n") {
		t.Fatalf("%v\n%s", err, offer)
	}
	checkSaid(t, b, offer)
}

// Each stream has a direction of its own: held, watched only, or both ways.
func TestDirectionOfEachSlot(t *testing.T) {
	text := func(audio, video string) []byte {
		return []byte(phoneAudio + "a=" + audio + "\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=" + video + "\r\n")
	}
	for _, c := range []struct {
		audio, video, answer string     // the video's answer
		forward              [2][2]bool // by slot
	}{
		{"sendrecv", "sendrecv", "sendrecv", [2][2]bool{{true, true}, {true, true}}},
		{"sendrecv", "recvonly", "sendonly", [2][2]bool{{true, true}, {false, true}}},
		{"sendrecv", "sendrecv", "recvonly", [2][2]bool{{true, true}, {true, false}}},
		{"sendonly", "inactive", "inactive", [2][2]bool{{true, false}, {false, false}}},
		{"sendrecv", "inactive", "sendrecv", [2][2]bool{{true, true}, {false, false}}},
	} {
		a := must(videoLeg(RTP, 'a').HearOffer(text(c.audio, c.video)))(t)
		b, offer, err := videoLeg(WebRTC, 'b').Offer(a.Heard)
		if err != nil {
			t.Fatal(err)
		}
		audio, video, _ := strings.Cut(strings.ReplaceAll(string(offer), "a=setup:actpass", "a=setup:active"), "m=video")
		audio = strings.Replace(audio, "a=sendonly", "a=recvonly", 1)
		b = must(b.HearAnswer([]byte(audio + "m=video" + strings.Replace(video, "a="+c.video, "a="+c.answer, 1))))(t)
		a, _, err = a.Answer(b.Heard)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Join(a, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2][2]bool{plan.Streams[Audio].Forward, plan.Streams[Video].Forward}; got != c.forward {
			t.Errorf("audio %s, video %s answered %s: %v, want %v", c.audio, c.video, c.answer, got, c.forward)
		}
		held := must(a.HearOffer(text(c.audio, "inactive")))(t)
		if held.Alters(a) != (c.video != "inactive") {
			t.Errorf("video %s then inactive: altered %t", c.video, held.Alters(a))
		}
	}
}
