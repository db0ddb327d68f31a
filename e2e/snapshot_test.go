package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"tandem/bridge"
	"tandem/e2e/lab"
)

// A call that is written down, dropped and restored goes on: neither Chromium nor Asterisk notices.
func TestRestoredCallGoesOn(t *testing.T) {
	s := newSite(t, onePBX)
	lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
			p.Register()
			c := p.Call("sip:600@example.com")
			c.Wait("answered", 10*time.Second)
			c.Hears(aliceTone)
			s.moveCall(t, <-s.answered)
			c.Hears(aliceTone)
			c.Hold()
			c.HearsNothing()
			c.Resume()
			c.Hears(aliceTone)
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
	}
}

// moveCall writes a call down as JSON, forgets it and restores it.
func (s *site) moveCall(t *testing.T, id string) {
	t.Helper()
	snapshot, err := s.Bridge().Snapshot(id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bridge().Drop(id); err != nil {
		t.Fatal(err)
	}
	var read bridge.Snapshot
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if err := s.Bridge().Restore(read); err != nil {
		t.Fatal(err)
	}
}
