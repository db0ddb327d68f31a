package sdp

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// seed adds every description that the scenarios hear.
func seed(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		_, sections := readTxtar(f, name)
		for _, s := range sections {
			if strings.Contains(s.name, "hears") {
				f.Add([]byte(crlf(s.text)), true)
				f.Add([]byte(s.text), false)
			}
		}
	}
	f.Add(rtpText(1, "0.0.0.0", "sendonly"), false)
}

// Whatever is accepted is answered: the answer parses again, has the offer's m-lines and only its payload types, and can
// be offered to the other profile, joined, and offered anew.
func FuzzHearOffer(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text []byte, browser bool) {
		near, far := videoLeg(WebRTC, 'a'), wordedLeg(t, videoLeg(RTP, 'b'), []string{"keys", "sdes", "optional", "ice"})
		if !browser {
			near, far = wordedLeg(t, videoLeg(RTP, 'a'), []string{"keys"}), videoLeg(WebRTC, 'b')
		}
		near.Policy.Transcode, far.Policy.Transcode = len(text)%2 == 0, len(text)%2 == 0
		a, err := near.HearOffer(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotAcceptable) {
				t.Fatalf("error without a class: %v", err)
			}
			return
		}
		b, offer, err := far.Offer(a.Heard)
		if errors.Is(err, ErrNotAcceptable) && !a.Heard.Carries(Audio) {
			return // a fax, and the far leg is a browser
		}
		if err != nil {
			t.Fatalf("not offered: %v", err)
		}
		checkSaid(t, b, offer)
		b = must(b.HearAnswer([]byte(strings.ReplaceAll(string(offer), "a=setup:actpass", "a=setup:active"))))(t)
		a, answer, err := a.Answer(b.Heard)
		if err != nil {
			t.Fatalf("not answered: %v", err)
		}
		checkSaid(t, a, answer)
		if _, err := parse(answer); err != nil {
			t.Fatal(err)
		}
		if _, err := Join(a, b); err != nil {
			t.Fatalf("not joined: %v", err)
		}
		a, again, err := roundTrip(t, a).Offer(b.Heard)
		if err != nil {
			t.Fatalf("not offered anew: %v", err)
		}
		checkSaid(t, a, again)
	})
}

// An answer from the network never panics, and what is accepted can be joined.
func FuzzHearAnswer(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text []byte, browser bool) {
		if browser {
			hearFuzzed(t, testLeg(WebRTC, 'b'), text)
			return
		}
		for _, words := range []string{"", "keys sdes", "keys sdes optional", "keys dtls ice"} {
			hearFuzzed(t, wordedLeg(t, testLeg(RTP, 'b'), strings.Fields(words)), text)
		}
	})
}

func hearFuzzed(t *testing.T, b Leg, answer []byte) {
	t.Helper()
	hearAnswerTo(t, b, nil, answer)
	b.Policy.Video, b.Local = true, withPorts(b.Local)
	pictures := must(videoLeg(RTP, 'a').HearOffer([]byte(twoModes)))(t)
	hearAnswerTo(t, b, pictures.Heard, answer)
}

func hearAnswerTo(t *testing.T, b Leg, far *Description, answer []byte) {
	t.Helper()
	b, _, err := b.Offer(far)
	if err != nil {
		t.Fatal(err)
	}
	b, err = b.HearAnswer(answer)
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotAcceptable) {
			t.Fatalf("error without a class: %v", err)
		}
		return
	}
	if _, err := Join(b, b); err != nil {
		t.Fatalf("not joined: %v", err)
	}
	if _, _, err := roundTrip(t, b).Offer(b.Heard); err != nil {
		t.Fatalf("not offered anew: %v", err)
	}
}
