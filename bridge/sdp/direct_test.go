package sdp

import (
	"errors"
	"strings"
	"testing"
)

const directOffer = "v=0\r\no=alice 9 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=x-own:1\r\n"

// What one peer says the other hears as it stands, but for the o= line: that has this leg's session, and a version for each change.
func TestDirectPasses(t *testing.T) {
	a, b := NewDirect(Policy{}, 7), NewDirect(Policy{}, 8)
	a = must(a.HearOffer([]byte(directOffer)))(t)
	b, offer, err := b.Offer(a.Heard)
	if err != nil || string(offer) != strings.Replace(directOffer, "alice 9 1", "- 8 1", 1) {
		t.Fatalf("%v\n%s", err, offer)
	}
	b = must(b.HearAnswer([]byte(strings.ReplaceAll(directOffer, "192.0.2.1", "198.51.100.2"))))(t)
	a, answer, err := a.Answer(b.Heard)
	if err != nil || !strings.Contains(string(answer), "o=- 7 1 IN IP4 198.51.100.2\r\n") || string(a.Repeat()) != string(answer) {
		t.Fatalf("%v\n%s", err, answer)
	}
	again := must(a.HearOffer([]byte(directOffer)))(t)
	if again.Alters(a) {
		t.Error("an offer said again alters the session")
	}
	if _, text, err := again.Answer(a.Said); err != nil || string(text) != string(answer) {
		t.Errorf("%v\n%s", err, text)
	}
	refused, text, err := a.Offer(again.Heard)
	if err != nil || !strings.Contains(string(text), "o=- 7 2 IN IP4 198.51.100.2\r\n") {
		t.Errorf("%v: the host of o= stays, the version rises:\n%s", err, text)
	}
	a = refused.Rollback()
	if _, text, err = a.Offer(again.Heard); err != nil || !strings.Contains(string(text), "o=- 7 3 ") {
		t.Errorf("%v: the version of a refused offer is used up:\n%s", err, text)
	}
	if _, _, err := a.Offer(nil); !errors.Is(err, ErrNoState) {
		t.Errorf("nothing was said, and it passes: %v", err)
	}
}

// A policy that insists on keys lets nothing in the clear pass.
func TestDirectKeys(t *testing.T) {
	for _, c := range []struct {
		keying   Keying
		protocol string
		takes    bool
	}{
		{SDES, "RTP/SAVP", true}, {SDES, "RTP/SAVPF", true}, {SDES, "RTP/AVP", false}, {SDES, "UDP/TLS/RTP/SAVP", false}, {SDES, "udptl", false},
		{DTLS, "UDP/TLS/RTP/SAVPF", true}, {DTLS, "RTP/SAVP", false},
	} {
		l := NewDirect(Policy{Keying: c.keying, Required: true}, 1)
		_, err := l.HearOffer([]byte(strings.Replace(directOffer, "RTP/AVP", c.protocol, 1)))
		if (err == nil) != c.takes || err != nil && !errors.Is(err, ErrNotAcceptable) {
			t.Errorf("%s, %s: %v", c.keying, c.protocol, err)
		}
	}
	if _, err := NewDirect(Policy{Keying: SDES, Required: true}, 1).HearOffer([]byte(strings.Replace(directOffer, "4000", "0", 1))); err != nil {
		t.Errorf("a stream that is refused needs no keys: %v", err)
	}
}

// A direct leg that is to be relayed goes on with the session that its peer knows.
func TestDirectBecomesRelayed(t *testing.T) {
	l := must(NewDirect(Policy{}, 7).HearOffer([]byte(directOffer)))(t)
	l, said, err := l.Answer(&Description{Body: strings.Replace(directOffer, " 0 8", " 8", 1)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Relayed(videoLeg(RTP, 'a').Local)
	if err != nil || string(r.Repeat()) != string(said) {
		t.Fatalf("%v\n%s", err, r.Repeat())
	}
	_, offer, err := r.Offer(r.Heard)
	if err != nil || !strings.Contains(string(offer), "o=- 7 2 IN IP4 192.0.2.1\r\n") || strings.Contains(string(offer), "c=IN IP4 192.0.2.1") ||
		strings.Count(string(offer), "m=") != 1 {
		t.Errorf("%v\n%s", err, offer)
	}
	if _, err := must(l.HearOffer([]byte(strings.Replace(directOffer, "m=audio", "m=text", 1))))(t).Rollback().Relayed(Local{}); err != nil {
		t.Errorf("an offer that was taken back is in the way: %v", err)
	}
}

// Whatever passes keeps its lines, and gets an o= line that is one.
func FuzzDirect(f *testing.F) {
	seed(f)
	f.Add([]byte(directOffer), true)
	f.Add([]byte("v=0\no=a b c d e f\n"), false)
	f.Add([]byte("v=0\r\no=\r\nm=audio 1 RTP/SAVP\r\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, keys bool) {
		near, far := NewDirect(Policy{Keying: SDES, Required: keys}, 1), NewDirect(Policy{}, 2)
		heard, err := near.HearOffer(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotAcceptable) {
				t.Fatalf("error without a class: %v", err)
			}
			return
		}
		said, offer, err := far.Offer(heard.Heard)
		if err != nil {
			t.Fatal(err)
		}
		if !(&Description{Body: string(offer)}).Same(heard.Heard) || !strings.Contains(string(offer), "\no=- 2 1 IN ") {
			t.Fatalf("%q became %q", text, offer)
		}
		answered := must(said.HearAnswer(offer))(t)
		if _, text, err := heard.Answer(answered.Heard); err != nil || len(text) == 0 {
			t.Fatal(err)
		}
		if _, err := parse(heard.Heard.Refusing()); err != nil && !strings.ContainsAny(string(text), "\x00\x0b\x0c") {
			t.Logf("refused by %q: %v", heard.Heard.Refusing(), err)
		}
		if relayed, err := answered.Relayed(videoLeg(RTP, 'a').Local); err == nil {
			relayed.Repeat()
		}
	})
}
