package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// The tones of the two browsers, Hz. Asterisk's 601 plays 1004 Hz, its 604 425 Hz.
const (
	aliceTone = 620
	bobTone   = 850
)

// One browser and one Asterisk: each row is a call by each library.
func TestCalls(t *testing.T) {
	s := newSite(t, onePBX)
	s.hiding(t)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	rows := []struct {
		name string
		call func(t *testing.T, s *site, p *lab.Phone)
	}{
		{"600 echoes", echo},
		{"601 plays a tone", tone},
		{"603 rings, then answers", ringing},
		{"604 gives early media, then answers", earlyMedia},
		{"607 is busy", busy},
		{"608 is congested", congested},
		{"609 is cancelled", cancelled},
		{"hold and resume", hold},
		{"600 is hung up by the PBX", farHangup},
		{"605 reads RFC 4733 digits", func(t *testing.T, s *site, p *lab.Phone) { digits(t, s, p, "rfc4733", "1379") }},
		{"605 reads digits sent by INFO", func(t *testing.T, s *site, p *lab.Phone) { digits(t, s, p, "info", "2468") }},
		{"unregisters", unregister},
	}
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		for _, row := range rows {
			t.Run(string(library)+" "+row.name, func(t *testing.T) {
				s.ladderOnFailure(t)
				p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
				if status := p.Register(); status != 200 {
					t.Fatalf("REGISTER: %d", status)
				}
				row.call(t, s, p)
				s.quiet(t)
			})
		}
	}
}

// A user of the PBX with nothing but G.711: the browser's Opus is not in the answer.
func TestG711Only(t *testing.T) {
	s := newSite(t, onePBX)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			p := chromium.Open(t).Phone(t, library, s.account("carol", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			echo(t, s, p)
			tone(t, s, p)
			digits(t, s, p, "rfc4733", "5042")
			s.quiet(t)
		})
	}
}

func echo(_ *testing.T, _ *site, p *lab.Phone) {
	c := p.Call("sip:600@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
}

func tone(_ *testing.T, _ *site, p *lab.Phone) {
	c := p.Call("sip:601@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(1004)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
}

func ringing(t *testing.T, _ *site, p *lab.Phone) {
	c := p.Call("sip:603@example.com")
	if s := c.Wait("ringing", 3*time.Second); s.Was["ringing"] != 180 {
		t.Errorf("ringing by %+v", s)
	}
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
}

func earlyMedia(t *testing.T, s *site, p *lab.Phone) {
	s.answers604(t, false)
	c := p.Call("sip:604@example.com")
	if s := c.Wait("early", 3*time.Second); s.Was["early"] != 183 {
		t.Errorf("early media by %+v", s)
	}
	c.Hears(425)
	s.answers604(t, true)
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
}

func busy(t *testing.T, _ *site, p *lab.Phone) {
	if s := p.Call("sip:607@example.com").Wait("ended", 10*time.Second); s.Status != 486 {
		t.Errorf("busy gives %+v", s)
	}
}

// a backend's 503 is never shown to a browser as such
func congested(t *testing.T, _ *site, p *lab.Phone) {
	if s := p.Call("sip:608@example.com").Wait("ended", 10*time.Second); s.Status < 480 || s.Status == 503 {
		t.Errorf("congestion gives %+v", s)
	}
}

func cancelled(t *testing.T, s *site, p *lab.Phone) {
	c := p.Call("sip:609@example.com")
	c.Wait("ringing", 5*time.Second)
	c.Hangup()
	if state := c.Wait("ended", 5*time.Second); state.Status != 487 && state.Status != 0 {
		t.Errorf("a cancelled call ends as %+v", state)
	}
	s.lastRecord(t, func(r record) error {
		if r.Status != 487 || r.By != "caller" {
			return fmt.Errorf("record %+v", r)
		}
		return nil
	})
}

func hold(_ *testing.T, _ *site, p *lab.Phone) {
	c := p.Call("sip:600@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	c.Hold()
	c.HearsNothing()
	c.Resume()
	c.Hears(aliceTone)
	c.Hangup()
	c.Wait("ended", 5*time.Second)
}

func farHangup(t *testing.T, s *site, p *lab.Phone) {
	c := p.Call("sip:600@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	s.hangsUpAll(t)
	c.Wait("ended", 10*time.Second)
}

// answers604 says whether 604 goes on from its early media to its answer.
func (s *site) answers604(t *testing.T, yes bool) {
	t.Helper()
	if _, err := s.asterisk.CLI(fmt.Sprintf("dialplan set global LAB_ANSWERS_604 %t", yes)); err != nil {
		t.Fatal(err)
	}
}

// hangsUpAll has the PBX end all of its calls.
func (s *site) hangsUpAll(t *testing.T) {
	t.Helper()
	if _, err := s.asterisk.CLI("channel request hangup all"); err != nil {
		t.Fatal(err)
	}
}

func digits(t *testing.T, s *site, p *lab.Phone, how, want string) {
	c := p.Call("sip:605@example.com")
	c.Wait("answered", 10*time.Second)
	c.Speaks()
	c.Digits(want, how)
	readsDigits(t, s.asterisk, want)
	c.Wait("ended", 15*time.Second)
}

func unregister(t *testing.T, _ *site, p *lab.Phone) {
	if status := p.Unregister(); status != 200 {
		t.Errorf("unregister: %d", status)
	}
}

// readsDigits waits until 605 has read the digits.
func readsDigits(t *testing.T, a *lab.Asterisk, want string) {
	t.Helper()
	lab.Eventually(t, 12*time.Second, "Asterisk reads "+want, func() error {
		log := a.Log()
		if !strings.Contains(log, "LAB-DTMF got="+want) {
			_, read, _ := strings.Cut(log, "LAB-DTMF")
			return fmt.Errorf("it read %q", read)
		}
		return nil
	})
}
