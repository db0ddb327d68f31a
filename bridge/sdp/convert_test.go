package sdp

import (
	"strings"
	"testing"
)

func convertLeg(name byte) Leg {
	l := testLeg(RTP, name)
	l.Policy.Transcode = true
	return l
}

const opusOnly = head + "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000\r\n"

// How two legs go on by what the second answers to an offer with Opus alone.
func TestConversion(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		transcode    bool
		codec        [2]string
		payload      string // of the answerer: what passes
	}{
		{"nothing in common", "8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\na=maxptime:30\r\n", true, [2]string{"opus/48000/2", "PCMA/8000"}, ""},
		{"Opus in front", "96 8\r\na=rtpmap:96 opus/48000/2\r\n", false, [2]string{"opus/48000/2", "opus/48000/2"}, "96"},
		{"Opus behind what the caller lacks", "8 96\r\na=rtpmap:96 opus/48000/2\r\na=ptime:30\r\n", true, [2]string{"opus/48000/2", "PCMA/8000"}, ""},
		{"comfort noise", "8 13\r\n", true, [2]string{"opus/48000/2", "PCMA/8000"}, ""},
	} {
		a := must(convertLeg('a').HearOffer([]byte(opusOnly)))(t)
		b, offer, err := convertLeg('b').Offer(a.Heard)
		if err != nil || !strings.Contains(string(offer), "RTP/AVP 96 9 0 8 ") {
			t.Fatalf("%s: %v\n%s", c.name, err, offer)
		}
		b = must(b.HearAnswer([]byte(head + "m=audio 4000 RTP/AVP " + c.answer)))(t)
		a, text, err := a.Answer(b.Heard)
		if err != nil || !strings.Contains(string(text), "RTP/AVP 96 97\r\n") || strings.Contains(string(text), "a=ptime") {
			t.Errorf("%s: %v\n%s", c.name, err, text)
			continue
		}
		plan, err := Join(a, b)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := plan.Streams[Audio]
		if s.Transcode != c.transcode || s.Codec[0].String() != c.codec[0] || s.Codec[1].String() != c.codec[1] || s.Reoffer != [2]bool{} {
			t.Errorf("%s:\n%s", c.name, planText(plan))
		}
		if passes := s.Payload[1] != noStream().Payload[1]; passes != (c.payload != "") || s.From[0] != 96 {
			t.Errorf("%s: passes %t\n%s", c.name, passes, planText(plan))
		}
	}
}

// Where one leg does not convert, what the legs share passes, and the peer that prefers another codec is to be asked anew.
func TestNoConversionOnOneLeg(t *testing.T) {
	a := must(testLeg(RTP, 'a').HearOffer([]byte(opusOnly)))(t)
	b, _, err := convertLeg('b').Offer(a.Heard)
	if err != nil {
		t.Fatal(err)
	}
	b = must(b.HearAnswer([]byte(head + "m=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 opus/48000/2\r\n")))(t)
	a, _, err = a.Answer(b.Heard)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Join(a, b)
	if err != nil || plan.Streams[Audio].Transcode || plan.Streams[Audio].Reoffer != [2]bool{false, true} {
		t.Errorf("%v\n%s", err, planText(plan))
	}
}
