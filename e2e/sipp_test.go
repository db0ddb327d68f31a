package e2e

import (
	"testing"
	"time"

	"tandem/e2e/lab"
)

// sipp as callee is a pool member of the gateway; as caller it reaches the browser through Asterisk. Its tone is 700 Hz.
func TestSipp(t *testing.T) {
	s := newSite(t, withSipp)
	s.hiding(t)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for domain, transport := range map[string]string{"udp.example": "u1", "tcp.example": "t1"} {
		t.Run("callee "+domain, func(t *testing.T) {
			s.ladderOnFailure(t)
			sipp := lab.StartSipp(t, "callee", "127.0.0.30", "", 1, "-t", transport)
			account := s.account("alice", aliceTone)
			account.URI = "sip:alice@" + domain
			c := chromium.Open(t).Phone(t, lab.JsSIP, account).Call("sip:service@" + domain)
			c.Wait("answered", 10*time.Second)
			c.Hears(lab.ToneHz)
			c.Hangup()
			sipp.Wait(t)
			s.quiet(t)
		})
	}
	t.Run("caller", func(t *testing.T) {
		s.ladderOnFailure(t)
		p := chromium.Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
		sipp := lab.StartSipp(t, "caller", "127.0.0.30", "127.0.0.10:5060", 1, "-s", "alice")
		c := p.Incoming()
		c.Answer()
		c.Wait("answered", 10*time.Second)
		c.Hears(lab.ToneHz)
		s.hangsUpAll(t)
		sipp.Wait(t)
		c.Wait("ended", 5*time.Second)
		s.quiet(t)
	})
}

// boundedSipp is a sipp that fails where it is not done in three minutes: by itself it waits for ever.
func boundedSipp(t *testing.T, scenario, addr, remote string, calls int, args ...string) *lab.Sipp {
	t.Helper()
	return lab.StartSipp(t, scenario, addr, remote, calls, append(args, "-timeout", "180s", "-timeout_error")...)
}
