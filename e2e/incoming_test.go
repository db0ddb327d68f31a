package e2e

import (
	"testing"
	"time"

	"tandem/e2e/lab"
)

// Asterisk calls a browser.
func TestIncoming(t *testing.T) {
	s := newSite(t, onePBX)
	s.hiding(t)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		register := func(t *testing.T) *lab.Phone {
			t.Helper()
			s.ladderOnFailure(t)
			p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			return p
		}
		originate := func(t *testing.T, extension string) {
			t.Helper()
			if _, err := s.asterisk.CLI("channel originate PJSIP/alice extension " + extension + "@lab"); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(string(library)+" answers, hears, hangs up", func(t *testing.T) {
			p := register(t)
			originate(t, "601")
			c := p.Incoming()
			c.Answer()
			c.Wait("answered", 10*time.Second)
			c.Hears(1004)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
		t.Run(string(library)+" is heard, and the PBX hangs up", func(t *testing.T) {
			p := register(t)
			originate(t, "600")
			c := p.Incoming()
			c.Answer()
			c.Wait("answered", 10*time.Second)
			c.Hears(aliceTone)
			s.hangsUpAll(t)
			c.Wait("ended", 10*time.Second)
			s.quiet(t)
		})
		t.Run(string(library)+" declines", func(t *testing.T) {
			p := register(t)
			originate(t, "600")
			c := p.Incoming()
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
		t.Run(string(library)+" misses a call that is cancelled", func(t *testing.T) {
			p := register(t)
			originate(t, "600")
			c := p.Incoming()
			s.hangsUpAll(t)
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
	}
}

// Browser to PBX to browser: two calls for the gateway, each side hears the other's tone, whoever calls and whoever holds.
func TestBrowserToBrowser(t *testing.T) {
	s := newSite(t, onePBX)
	lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	pairs := [][2]lab.Library{{lab.JsSIP, lab.SIPJS}, {lab.SIPJS, lab.JsSIP}}
	for _, pair := range pairs {
		t.Run(string(pair[0])+" calls "+string(pair[1]), func(t *testing.T) {
			s.ladderOnFailure(t)
			alice := chromium.Open(t).Phone(t, pair[0], s.account("alice", aliceTone))
			bob := chromium.Open(t).Phone(t, pair[1], s.account("bob", bobTone))
			if a, b := alice.Register(), bob.Register(); a != 200 || b != 200 {
				t.Fatalf("REGISTER: %d and %d", a, b)
			}
			out := alice.Call("sip:bob@example.com")
			in := bob.Incoming()
			in.Answer()
			out.Wait("answered", 10*time.Second)
			in.Wait("answered", 10*time.Second)
			out.Hears(bobTone)
			in.Hears(aliceTone)

			in.Hold()
			out.HearsNothing()
			in.Resume()
			out.Hears(bobTone)
			in.Hears(aliceTone)
			out.Hold()
			in.HearsNothing()
			out.Resume()
			in.Hears(aliceTone)
			out.Hears(bobTone)

			in.Hangup()
			out.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
	}
}
