package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

const summary = "message-summary"

var bothLibraries = []lab.Library{lab.JsSIP, lab.SIPJS}

// What Asterisk tells phones outside calls, and they each other through it.
func TestOutsideCalls(t *testing.T) {
	s := newSite(t, onePBX)
	s.hiding(t)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Mailboxes: true})
	chromium := lab.StartChromium(t)
	for i, library := range bothLibraries {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			alice := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
			bob := chromium.Open(t).Phone(t, bothLibraries[1-i], s.account("bob", bobTone))
			if a, b := alice.Register(), bob.Register(); a != 200 || b != 200 {
				t.Fatalf("REGISTER: %d and %d", a, b)
			}
			mailbox(t, s, alice)
			messages(t, alice, bob)
			hint(t, s, alice, bob)
		})
	}
}

// lit has the messages of alice's mailbox come and go.
func (s *site) lit(t *testing.T, extension string) {
	t.Helper()
	if _, err := s.asterisk.CLI("channel originate Local/" + extension + "@lab application Wait 1"); err != nil {
		t.Fatal(err)
	}
}

func mailbox(t *testing.T, s *site, p *lab.Phone) {
	s.lit(t, "622")
	p.Told(summary, "Messages-Waiting: no")
	s.lit(t, "621")
	p.Told(summary, "Messages-Waiting: yes") // unasked
	before := p.Notices(summary, "Voice-Message: 3/1")
	p.Subscribe("sip:alice@example.com", summary, "application/simple-message-summary")
	lab.Eventually(t, 5*time.Second, "the subscription's first NOTIFY", func() error {
		if n := p.Notices(summary, "Voice-Message: 3/1"); n <= before {
			return fmt.Errorf("%d before, %d now", before, n)
		}
		return nil
	})
	s.subscriptions(t, 1)
	s.lit(t, "622")
	p.Told(summary, "Voice-Message: 0/4")
	p.Unsubscribe()
	s.subscriptions(t, 0)
}

func messages(t *testing.T, from, to *lab.Phone) {
	const text = "Grüße aus dem Browser"
	if status := from.Message("sip:bob@example.com", text); status != 202 && status != 200 {
		t.Errorf("MESSAGE: %d", status)
	}
	to.Told("MESSAGE", text)
	if status := to.Message("sip:alice@example.com", "zurück"); status != 202 && status != 200 {
		t.Errorf("MESSAGE: %d", status)
	}
	from.Told("MESSAGE", "zurück")
}

func hint(t *testing.T, s *site, watcher, watched *lab.Phone) {
	watcher.Subscribe("sip:620@example.com", "dialog", "application/dialog-info+xml")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.asterisk.Log())
		}
	})
	watcher.Told("dialog", `<state>terminated</state>`)
	if _, err := s.asterisk.CLI("channel originate PJSIP/bob extension 601@lab"); err != nil {
		t.Fatal(err)
	}
	c := watched.Incoming()
	watcher.Told("dialog", `<state>early</state>`)
	c.Answer()
	watcher.Told("dialog", `<state>confirmed</state>`)
	c.Hangup()
	watcher.Unsubscribe()
	s.subscriptions(t, 0)
	s.quiet(t)
}

// subscriptions waits until so many run.
func (s *site) subscriptions(t *testing.T, want int) {
	t.Helper()
	lab.Eventually(t, 5*time.Second, fmt.Sprintf("%d subscriptions run", want), func() error {
		if n := s.Bridge().Stats().Subscriptions; n != want {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
}
