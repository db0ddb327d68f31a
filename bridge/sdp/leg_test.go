package sdp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Every method in every state: only the exchange that is open may go on (RFC 3264 §4).
func TestStates(t *testing.T) {
	offer, answer := rtpText(1, "192.0.2.1", "sendrecv"), rtpText(2, "192.0.2.1", "sendrecv")
	fresh := testLeg(RTP, 'a')
	heard := must(fresh.HearOffer(offer))(t)
	answered, _, err := heard.Answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	said, _, err := answered.Offer(nil)
	if err != nil {
		t.Fatal(err)
	}
	closed := must(said.HearAnswer(answer))(t)
	for _, c := range []struct {
		name                                     string
		leg                                      Leg
		pending                                  Pending
		hearOffer, answer, sayOffer, hearsAnswer bool // allowed
	}{
		{"fresh", fresh, Stable, true, false, true, false},
		{"offer heard", heard, HeardOffer, false, true, false, false},
		{"answered", answered, Stable, true, false, true, false},
		{"offer said", said, SaidOffer, false, false, false, true},
		{"answer heard", closed, Stable, true, false, true, false},
		{"heard and rolled back", heard.Rollback(), Stable, true, false, true, false},
		{"said and rolled back", said.Rollback(), Stable, true, false, true, false},
	} {
		_, e1 := c.leg.HearOffer(offer)
		_, _, e2 := c.leg.Answer(nil)
		_, _, e3 := c.leg.Offer(nil)
		_, e4 := c.leg.HearAnswer(answer)
		for i, allowed := range []bool{c.hearOffer, c.answer, c.sayOffer, c.hearsAnswer} {
			err := []error{e1, e2, e3, e4}[i]
			if allowed && err != nil || !allowed && !errors.Is(err, ErrNoState) {
				t.Errorf("%s, method %d: %v", c.name, i, err)
			}
		}
		if c.leg.Pending != c.pending {
			t.Errorf("%s: pending %d", c.name, c.leg.Pending)
		}
	}
}

func TestVersions(t *testing.T) {
	l := NewLeg(RTP, testLeg(RTP, 'a').Local, 1<<63|77)
	if l.SessionID != 77 || len(l.Repeat()) != 0 {
		t.Fatalf("session id %d, said %q", l.SessionID, l.Repeat())
	}
	say := func(direction string) string {
		t.Helper()
		l = must(l.HearOffer(rtpText(1, "192.0.2.1", direction)))(t)
		var text []byte
		var err error
		if l, text, err = l.Answer(nil); err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := say("sendrecv")
	if say("sendrecv") != first || string(l.Repeat()) != first || l.Version != 1 {
		t.Fatal("unchanged, and yet said otherwise")
	}
	held := say("sendonly")
	if !strings.Contains(held, "o=- 77 2 IN IP4 10.0.0.5\r\n") {
		t.Fatal(held)
	}
	refused, _, err := l.Offer(nil)
	if err != nil || refused.Version != 3 {
		t.Fatalf("%v, version %d", err, refused.Version)
	}
	l = refused.Rollback()
	if string(l.Repeat()) != held {
		t.Fatal("the refused text is repeated")
	}
	if again := say("sendonly"); !strings.Contains(again, "o=- 77 4 IN") {
		t.Fatalf("the peer has seen version 3:\n%s", again)
	}
}

// What a failure leaves is the leg as it was, so that the caller may go on with it.
func TestErrorsChangeNothing(t *testing.T) {
	heard := must(testLeg(RTP, 'a').HearOffer(rtpText(1, "192.0.2.1", "sendrecv")))(t)
	opus := must(testLeg(RTP, 'b').HearOffer([]byte(head + "m=audio 4 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n")))(t)
	if l, _, err := heard.Answer(opus.Heard); !errors.Is(err, ErrNotAcceptable) || toJSON(t, l) != toJSON(t, heard) {
		t.Fatalf("%v, %+v", err, l)
	}
	if _, _, err := heard.Answer(&Description{}); !errors.Is(err, ErrNotAcceptable) {
		t.Fatal(err)
	}
	bare := heard
	bare.Local = Local{}
	if l, _, err := bare.Answer(nil); !errors.Is(err, ErrNoState) || l.Pending != HeardOffer {
		t.Fatalf("no ports: %v", err)
	}
	if l, _, err := NewLeg(WebRTC, Local{}, 1).Offer(nil); !errors.Is(err, ErrNoState) || l.Pending != Stable {
		t.Fatalf("no certificate: %v", err)
	}
	said, _, err := testLeg(RTP, 'b').Offer(opus.Heard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text  string
		class error
		want  string
	}{
		{head + "m=audio 4000 RTP/AVP 0\n", ErrNotAcceptable, "answered PCMU/8000 to an offer of opus/48000/2"},
		{head + "m=audio 0 RTP/AVP 96\n", ErrNotAcceptable, "answered m=audio: rejected"},
		{head, ErrNotAcceptable, "rejected"},
		{head + "m=audio 4 RTP/AVP 96\nm=video 4 RTP/AVP 97\n", ErrMalformed, "2 m-lines in answer to 1"},
		{"v=0", ErrMalformed, "no o= line"},
	} {
		l, err := said.HearAnswer([]byte(c.text))
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) || l.Pending != SaidOffer {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := Join(heard, said); !errors.Is(err, ErrNoState) {
		t.Errorf("join of open legs: %v", err)
	}
}

// Payload types: the far leg's numbers where they are free, one number for one format for life, none twice.
func TestNumbers(t *testing.T) {
	bound := []Codec{{96, "VP8", 90000, 1, ""}, {0, "PCMU", 8000, 1, ""}, {107, "opus", 48000, 2, ""}}
	for _, c := range []struct {
		codec Codec
		want  uint8
	}{
		{Codec{111, "OPUS", 48000, 2, ""}, 107},                // bound before
		{Codec{8, "PCMA", 8000, 1, ""}, 8},                     // static
		{Codec{99, "G722", 8000, 1, ""}, 9},                    // static although the far leg has it dynamic
		{Codec{101, "telephone-event", 8000, 1, ""}, 101},      // the far leg's
		{Codec{40, "telephone-event", 48000, 1, ""}, 40},       // the low dynamic range too
		{Codec{96, "telephone-event", 8000, 1, ""}, 97},        // taken here
		{Codec{72, "telephone-event", 8000, 1, ""}, 97},        // looks like RTCP
		{Codec{0, "telephone-event", 8000, 1, ""}, 97},         // another's static one
		{Codec{13, "CN", 8000, 1, ""}, 13},                     // static
		{Codec{107, "telephone-event", 48000, 1, "0-16"}, 97},  // taken by Opus
		{Codec{120, "opus", 48000, 1, "mono is another"}, 120}, // channels differ, so the format does
	} {
		if got, ok := number(bound, c.codec); !ok || got != c.want {
			t.Errorf("%v: %d, want %d", c.codec, got, c.want)
		}
	}
	var full []Codec
	for n := range 62 {
		c := Codec{200, fmt.Sprintf("x%d", n), 8000, 1, ""}
		free, ok := number(full, c)
		if ok != (n < 32+29) {
			t.Fatalf("number %d of the dynamic ones: %t", n, ok)
		}
		if ok && slices.ContainsFunc(full, func(c Codec) bool { return c.PayloadType == free }) {
			t.Fatalf("%d twice", free)
		}
		c.PayloadType = free
		full = bind(full, []Codec{c})
	}
}

// A peer that binds a number anew against RFC 3264 is followed on that leg; the far leg keeps its own numbers.
func TestRebinding(t *testing.T) {
	a := must(testLeg(RTP, 'a').HearOffer([]byte(head + "m=audio 4 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n")))(t)
	b, _, err := testLeg(RTP, 'b').Offer(a.Heard)
	if err != nil {
		t.Fatal(err)
	}
	b = must(b.HearAnswer([]byte(head + "m=audio 4 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n")))(t)
	a, _, err = a.Answer(b.Heard)
	if err != nil {
		t.Fatal(err)
	}
	again := head + "m=audio 4 RTP/AVP 97 96\na=rtpmap:97 opus/48000/2\na=rtpmap:96 telephone-event/48000\n"
	a = must(a.HearOffer([]byte(again)))(t)
	b, text, err := b.Offer(a.Heard)
	if err != nil || !strings.Contains(string(text), "RTP/AVP 96 97\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	b = must(b.HearAnswer(text))(t)
	a, text, err = a.Answer(b.Heard)
	if err != nil || !strings.Contains(string(text), "RTP/AVP 97 96\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	plan, err := Join(a, b)
	if err != nil || plan.Streams[0].Payload[0][97] != 96 || plan.Streams[0].Payload[0][96] != 97 {
		t.Fatalf("%v\n%s", err, planText(plan))
	}
}

// The DTLS role: passive wherever the peer lets us, and what was decided stays.
func TestSetup(t *testing.T) {
	for _, c := range []struct{ peer, decided, want string }{
		{"actpass", "", "passive"}, {"", "", "passive"}, {"active", "", "passive"}, {"passive", "", "active"},
		{"actpass", "active", "active"}, {"actpass", "passive", "passive"}, {"passive", "passive", "active"},
	} {
		if got := answerSetup(c.peer, c.decided); got != c.want {
			t.Errorf("%q after %q: %q", c.peer, c.decided, got)
		}
	}
	l, text, err := testLeg(WebRTC, 'a').Offer(nil)
	if err != nil || !strings.Contains(string(text), "a=setup:actpass\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	l = must(l.HearAnswer(rtcText(1, "sendrecv", "passive")))(t)
	if l.Setup != "active" {
		t.Fatal(l.Setup)
	}
	l, text, err = l.Offer(nil)
	if err != nil || !strings.Contains(string(text), "a=setup:active\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, answer := range []string{"passive", "active"} { // the second is wrong: the role that was decided stays
		again := must(l.HearAnswer(rtcText(2, "sendrecv", answer)))(t)
		if again.Setup != "active" || again.Remote().Setup != "passive" {
			t.Errorf("re-offer answered %s: %s, and the peer %s", answer, again.Setup, again.Remote().Setup)
		}
	}
	l = must(l.Rollback().HearOffer(rtcText(2, "sendrecv", "actpass")))(t)
	if _, text, err = l.Answer(nil); err != nil || !strings.Contains(string(text), "a=setup:active\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
}

// An announced SSRC appears only where the relay rewrites to it.
func TestSSRC(t *testing.T) {
	l := testLeg(WebRTC, 'a')
	_, text, err := l.Offer(nil)
	if err != nil || strings.Contains(string(text), "a=ssrc") || !strings.Contains(string(text), "a=msid:tandem-4242 audio-4242\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	l.Local.SSRC = 3735928559
	_, text, err = l.Offer(nil)
	if err != nil || !strings.Contains(string(text), "a=ssrc:3735928559 cname:tandem-4242\r\n") {
		t.Fatalf("%v\n%s", err, text)
	}
}
