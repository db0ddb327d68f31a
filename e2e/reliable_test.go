package e2e

import (
	"testing"
	"time"

	"tandem/e2e/lab"
)

// sipp answers in a reliable 183, wants PRACKs, sends an UPDATE before its 200, and the 200 has no description: the browser hears the
// tone before the answer and knows nothing of the rest.
func TestSippReliable(t *testing.T) {
	s := newSite(t, withSipp)
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			sipp := lab.StartSipp(t, "reliable", "127.0.0.30", "", 1, "-t", "u1")
			account := s.account("alice", aliceTone)
			account.URI = "sip:alice@udp.example"
			c := chromium.Open(t).Phone(t, library, account).Call("sip:service@udp.example")
			c.Wait("answered", 10*time.Second)
			c.Hears(lab.ToneHz)
			c.Hangup()
			sipp.Wait(t)
			s.quiet(t)
			if n := s.ladder.count("PRACK sip:sipp@"); n != 2 {
				t.Errorf("%d PRACKs", n)
			}
		})
	}
}

// An Asterisk that requires 100rel and brings session timers: early media, an answer, and calls from it, where our 180 goes reliably.
func TestAsteriskRequiresReliable(t *testing.T) {
	s := newSite(t, onePBX)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Strict: true})
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			extension, pracks := "614", 1 // with early media
			if library == lab.SIPJS {
				extension, pracks = "600", 0
			}
			c := p.Call("sip:" + extension + "@example.com")
			c.Wait("answered", 15*time.Second)
			c.Hears(aliceTone)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
			if n := s.ladder.count("PRACK sip:127.0.0.10"); n != pracks {
				t.Errorf("%d PRACKs to Asterisk", n)
			}
			if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
				t.Fatal(err)
			}
			c = p.Incoming() // its 180 is reliable
			c.Answer()
			c.Wait("answered", 10*time.Second)
			c.Hears(1004)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
			if n := s.ladder.count("PRACK sip:t"); n == 0 {
				t.Error("no PRACK from Asterisk")
			}
		})
	}
}

// SIP.js whose page wants 100rel is called: its 183 wants a PRACK, and ours to Asterisk one of its own.
func TestSIPJSRingsReliably(t *testing.T) {
	s := newSite(t, onePBX)
	asterisk := lab.StartAsterisk(t, "127.0.0.10")
	s.ladderOnFailure(t)
	account := s.account("alice", aliceTone)
	account.Reliable = true
	p := lab.StartChromium(t).Open(t).Phone(t, lab.SIPJS, account)
	if status := p.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	if _, err := asterisk.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	c := p.Incoming()
	c.Answer()
	c.Wait("answered", 10*time.Second)
	c.Hears(1004)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
	s.quiet(t)
	if all, pbx := s.ladder.count("PRACK sip:"), s.ladder.count("PRACK sip:t"); all != 2 || pbx != 1 {
		t.Errorf("%d PRACKs, %d of them from Asterisk", all, pbx)
	}
}

// SIP.js makes no offer, requires 100rel, or both: our 200 or our reliable 183 has the offer, its ACK or PRACK the answer.
func TestDelayedOfferOfSIPJS(t *testing.T) {
	s := newSite(t, onePBX)
	lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, test := range []struct {
		name, extension   string
		reliable, delayed bool
		pracks            int
	}{
		{"offer in the 200", "600", false, true, 0},
		{"requires 100rel", "614", true, false, 1},
		{"offer in the 183", "614", true, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.ladderOnFailure(t)
			account := s.account("alice", aliceTone)
			account.Reliable, account.Delayed = test.reliable, test.delayed
			p := chromium.Open(t).Phone(t, lab.SIPJS, account)
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			c := p.Call("sip:" + test.extension + "@example.com")
			c.Wait("answered", 10*time.Second)
			c.Hears(aliceTone)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
			if n := s.ladder.count("PRACK sip:t"); n != test.pracks {
				t.Errorf("%d PRACKs", n)
			}
		})
	}
}
