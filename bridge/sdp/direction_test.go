package sdp

import (
	"fmt"
	"strings"
	"testing"
)

var directions = []Direction{Inactive, SendOnly, RecvOnly, SendRecv}

func rtpText(origin int, connection, direction string) []byte {
	return []byte(fmt.Sprintf("v=0\r\no=- 7 %d IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"+
		"m=audio 4000 RTP/AVP 0 8\r\na=%s\r\n", origin, connection, direction))
}

func rtcText(origin int, direction, setup string) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf(`v=0
o=- 9 %d IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 0 8
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 AA:BB
a=setup:%s
a=rtcp-mux
a=%s
`, origin, setup, direction), "\n", "\r\n"))
}

// The product of what one peer offers and the other answers, both ways across the profiles: what is said, what the plan
// forwards and what it expects.
func TestDirections(t *testing.T) {
	for _, offered := range directions {
		for _, answered := range directions {
			t.Run(fmt.Sprintf("%s-%s", offered, answered), func(t *testing.T) {
				checkDirections(t, testLeg(WebRTC, 'a'), testLeg(RTP, 'b'),
					rtcText(1, offered.String(), "actpass"), rtpText(1, "192.0.2.1", answered.String()), offered, answered)
				checkDirections(t, testLeg(RTP, 'a'), testLeg(WebRTC, 'b'),
					rtpText(1, "192.0.2.1", offered.String()), rtcText(1, answered.String(), "active"), offered, answered)
			})
		}
	}
}

// RFC 2543 hold: c=0.0.0.0 takes away receiving from whatever direction is written.
func TestOldHold(t *testing.T) {
	for _, written := range directions {
		for _, answered := range directions {
			meant := Inactive
			if written.Sends() {
				meant = SendOnly
			}
			for _, black := range []string{"0.0.0.0", "hold.invalid"} {
				checkDirections(t, testLeg(RTP, 'a'), testLeg(WebRTC, 'b'),
					rtpText(1, black, written.String()), rtcText(1, answered.String(), "active"), meant, answered)
				checkDirections(t, testLeg(WebRTC, 'a'), testLeg(RTP, 'b'), rtcText(1, answered.String(), "actpass"),
					rtpText(1, black, written.String()), answered, meant)
			}
		}
	}
}

func checkDirections(t *testing.T, a, b Leg, offer, answer []byte, offered, answered Direction) {
	t.Helper()
	a = must(a.HearOffer(offer))(t)
	b, text, err := b.Offer(a.Heard)
	if err != nil || !strings.Contains(string(text), "a="+offered.String()+"\r\n") {
		t.Fatalf("%v, offered\n%s", err, text)
	}
	b = must(b.HearAnswer(answer))(t)
	a, text, err = a.Answer(b.Heard)
	allowed := answered & offered.Reverse()
	if err != nil || !strings.Contains(string(text), "a="+allowed.String()+"\r\n") {
		t.Fatalf("%v, answered %s to %s:\n%s", err, answered, offered, text)
	}
	if strings.Count(string(text), "a=send")+strings.Count(string(text), "a=recv")+strings.Count(string(text), "a=inactive") != 1 {
		t.Fatalf("more than one direction:\n%s", text)
	}
	if a.Held() != !offered.Receives() || b.Held() != !allowed.Receives() {
		t.Fatalf("held %t %t by %s, %s", a.Held(), b.Held(), offered, answered)
	}
	plan, err := Join(a, b)
	if err != nil {
		t.Fatal(err)
	}
	s := plan.Streams[0]
	wantForward := [2]bool{offered.Sends() && answered.Receives(), offered.Receives() && answered.Sends()}
	both := offered == SendRecv && answered == SendRecv
	if s.Forward != wantForward || s.Expect != [2]bool{both, both} {
		t.Fatalf("%s to %s: forward %v expect %v", answered, offered, s.Forward, s.Expect)
	}
}

// must gives the leg or ends the test.
func must(l Leg, err error) func(*testing.T) Leg {
	return func(t *testing.T) Leg {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// Hold and resume from either side while the other holds or not: whoever holds stays held until it resumes itself.
func TestHoldsOverlap(t *testing.T) {
	a := must(testLeg(WebRTC, 'a').HearOffer(rtcText(1, "sendrecv", "actpass")))(t)
	b, _, _ := testLeg(RTP, 'b').Offer(a.Heard)
	b = must(b.HearAnswer(rtpText(1, "192.0.2.1", "sendrecv")))(t)
	a, _, _ = a.Answer(b.Heard)
	steps := []struct {
		from            string
		offer, answer   string // by the peers
		toFar, back     string // said by us
		forwardA, fromB bool
	}{
		{"a", "sendonly", "recvonly", "sendonly", "recvonly", true, false},
		{"b", "sendonly", "inactive", "sendonly", "inactive", false, false}, // b holds too
		{"a", "sendrecv", "sendonly", "sendrecv", "sendonly", false, true},  // a resumes, b holds on
		{"b", "sendrecv", "sendrecv", "sendrecv", "sendrecv", true, true},
	}
	for i, s := range steps {
		near, far := a, b
		if s.from == "b" {
			near, far = b, a
		}
		text := func(l Leg, direction, setup string) []byte {
			if l.Profile == WebRTC {
				return rtcText(i+2, direction, setup)
			}
			return rtpText(i+2, "192.0.2.1", direction)
		}
		near = must(near.HearOffer(text(near, s.offer, "actpass")))(t)
		if !near.Alters(*near.Before) {
			t.Fatalf("step %d: the far side would not be asked", i)
		}
		far, offer, err := far.Offer(near.Heard)
		if err != nil || !strings.Contains(string(offer), "a="+s.toFar+"\r\n") {
			t.Fatalf("step %d: %v\n%s", i, err, offer)
		}
		far = must(far.HearAnswer(text(far, s.answer, "active")))(t)
		near, answer, err := near.Answer(far.Heard)
		if err != nil || !strings.Contains(string(answer), "a="+s.back+"\r\n") {
			t.Fatalf("step %d: %v\n%s", i, err, answer)
		}
		a, b = near, far
		if s.from == "b" {
			a, b = far, near
		}
		plan, err := Join(a, b)
		if err != nil || plan.Streams[0].Forward != [2]bool{s.forwardA, s.fromB} {
			t.Fatalf("step %d: %v %v", i, err, plan.Streams[0].Forward)
		}
	}
}
