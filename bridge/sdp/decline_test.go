package sdp

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// dropped is an offer whose only m-line has port 0.
func dropped(offer []byte) []byte {
	text := strings.Replace(string(offer), "m=audio ", "m=audio 0 ", 1)
	fields := strings.SplitN(text[strings.Index(text, "m=audio 0 "):], " ", 4)
	return []byte(strings.Replace(text, strings.Join(fields[:3], " "), "m=audio 0", 1))
}

func TestDecline(t *testing.T) {
	for _, c := range []struct {
		name    string
		profile Profile
		offer   []byte
	}{
		{"RTP", RTP, rtpText(1, "192.0.2.1", "sendrecv")},
		{"WebRTC", WebRTC, rtcText(1, "sendrecv", "actpass")},
	} {
		t.Run(c.name, func(t *testing.T) {
			far := must(testLeg(RTP, 'b').HearOffer(rtpText(1, "192.0.2.2", "sendrecv")))(t)
			far, _, err := far.Answer(nil)
			if err != nil {
				t.Fatal(err)
			}
			l, first, err := must(testLeg(c.profile, 'a').HearOffer(c.offer))(t).Answer(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.HearOffer(dropped(c.offer)); !errors.Is(err, ErrNotAcceptable) {
				t.Fatalf("heard: %v", err)
			}
			rests, text, err := l.Decline(dropped(c.offer))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "m=audio 0 ") || strings.Contains(string(text), "BUNDLE") || string(text) == string(first) {
				t.Errorf("said\n%s", text)
			}
			if !rests.Resting || rests.Pending != Stable || rests.Version != l.Version+1 || !rests.Alters(l) || l.Resting {
				t.Errorf("resting %v, pending %v, version %d after %d", rests.Resting, rests.Pending, rests.Version, l.Version)
			}
			plan, err := Join(rests, far)
			if err != nil || plan.Streams[0].Forward != [2]bool{} || plan.Streams[0].Expect[0] {
				t.Errorf("plan %+v, %v", plan, err)
			}
			if _, offer, err := far.Offer(rests.Heard); err != nil || !strings.Contains(string(offer), "a=inactive") {
				t.Errorf("the far side is offered %v\n%s", err, offer)
			}
			checkTakenUp(t, rests, c.offer)
		})
	}
}

// checkTakenUp lets a leg's stream come back, after the leg was written down and read.
func checkTakenUp(t *testing.T, rests Leg, offer []byte) {
	t.Helper()
	text, err := json.Marshal(rests)
	if err != nil {
		t.Fatal(err)
	}
	var read Leg
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, rests) {
		t.Errorf("written down and read: %v\n%s", err, text)
	}
	heard := must(read.HearOffer(offer))(t)
	if !heard.Alters(rests) {
		t.Error("that the stream is back is no news")
	}
	back, answer, err := heard.Answer(nil)
	if err != nil || back.Resting || strings.Contains(string(answer), "m=audio 0 ") {
		t.Errorf("resting %v, %v\n%s", back.Resting, err, answer)
	}
	if again := heard.Rollback(); !again.Resting {
		t.Error("a refused offer took the stream up")
	}
}

func TestDeclineRefuses(t *testing.T) {
	offer := rtpText(1, "192.0.2.1", "sendrecv")
	fresh := testLeg(RTP, 'a')
	heard := must(fresh.HearOffer(offer))(t)
	answered, _, err := heard.Answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		leg  Leg
		text []byte
		want error
	}{
		{"before any exchange", fresh, offer, ErrNoState},
		{"while an offer is open", heard, offer, ErrNoState},
		{"no SDP", answered, []byte("v=0\r\nnonsense\r\n"), ErrMalformed},
		{"m-lines are missing", answered, offer[:strings.Index(string(offer), "m=audio")], ErrMalformed},
	} {
		got, text, err := c.leg.Decline(c.text)
		if !errors.Is(err, c.want) || text != nil || !reflect.DeepEqual(got, c.leg) {
			t.Errorf("%s: %v, said %q", c.name, err, text)
		}
	}
}
