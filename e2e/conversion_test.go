package e2e

import (
	"testing"

	"tandem/e2e/lab"
)

// A browser with Opus alone and a user of the PBX with G.711 alone: both hear each other, and digits cross their clocks.
func TestOpusToG711(t *testing.T) {
	s := newSite(t, onePBX)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			tab := chromium.Open(t)
			tab.Only(t, "audio/opus", "audio/telephone-event")
			p := tab.Phone(t, library, s.account("carol", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			echo(t, s, p)
			tone(t, s, p)
			digits(t, s, p, "rfc4733", "5042")
			if _, err := s.asterisk.CLI("channel originate PJSIP/carol extension 601@lab"); err != nil {
				t.Fatal(err)
			}
			in := p.Incoming()
			in.Answer()
			in.Hears(1004)
			if codec := in.Codec(); codec != "audio/opus" {
				t.Errorf("the browser receives %s", codec)
			}
			in.Hangup()
			s.quiet(t)
		})
	}
}

// The same towards a phone with G.722 alone, which echoes.
func TestOpusToG722(t *testing.T) {
	s := newSite(t, withBaresip)
	lab.Baresip{Codec: "G722/16000/1", Echo: true}.Start(t)
	tab := lab.StartChromium(t).Open(t)
	tab.Only(t, "audio/opus", "audio/telephone-event")
	s.ladderOnFailure(t)
	c := tab.Phone(t, lab.JsSIP, s.account("alice", aliceTone)).Call("sip:baresip@example.com")
	c.Hears(aliceTone)
	c.Hangup()
	s.quiet(t)
}
