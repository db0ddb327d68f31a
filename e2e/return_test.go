package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// wired is an account whose WebSocket goes over a wire.
func (s *site) wired(t *testing.T, user string, tone float64) (lab.Account, *lab.Wire) {
	t.Helper()
	account := s.account(user, tone)
	host, path, _ := strings.Cut(strings.TrimPrefix(account.URL, "wss://"), "/")
	wire := lab.LayWire(t, host)
	account.URL = "wss://" + wire.Addr + "/" + path
	return account, wire
}

// comesBack mends a wire that was cut, and waits until the phone is registered again.
func comesBack(t *testing.T, p *lab.Phone, wire *lab.Wire) {
	t.Helper()
	registered := p.Registered()
	wire.Mend()
	lab.Eventually(t, 30*time.Second, "the library connects and registers again", func() error {
		if n := p.Registered(); n <= registered {
			return fmt.Errorf("%d registrations, as before", n)
		}
		return nil
	})
}

// hangsUp has the PBX end the only call that is in an application.
func hangsUp(t *testing.T, a *lab.Asterisk, application string) {
	t.Helper()
	out, err := a.CLI("core show channels concise")
	found := regexp.MustCompile(`(?m)^(PJSIP/[^!]+)!.*!`+application+`!`).FindAllStringSubmatch(out, -1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v; channels in %s: %v\n%s", err, application, found, out)
	}
	if _, err := a.CLI("channel request hangup " + found[0][1]); err != nil {
		t.Fatal(err)
	}
}

// A WebSocket is lost in mid-call and the library comes back by itself: audio never stops, and then ICE restart, hold from either
// side, transfer, and BYE from either side cross the new connection, even a BYE that was said meanwhile.
func TestWebSocketComesBack(t *testing.T) {
	s := newSite(t, onePBX)
	asterisk := lab.StartAsterisk(t, "127.0.0.10", lab.AsteriskConfig{Trusted: []string{"dora", "emil"}})
	chromium := lab.StartChromium(t)
	for i, library := range bothLibraries {
		t.Run(string(library), func(t *testing.T) {
			s.ladderOnFailure(t)
			account, wire := s.wired(t, "dora", aliceTone)
			dora := chromium.Open(t).Phone(t, library, account)
			emil := chromium.Open(t).Phone(t, bothLibraries[1-i], s.account("emil", bobTone))
			if a, b := dora.Register(), emil.Register(); a != 200 || b != 200 {
				t.Fatalf("REGISTER: %d and %d", a, b)
			}
			if _, err := asterisk.CLI("channel originate PJSIP/dora extension 601@lab"); err != nil {
				t.Fatal(err)
			}
			third := dora.Incoming()
			third.Answer()
			third.Hears(milliwatt)
			echo := dora.Call("sip:600@example.com")
			echo.Wait("answered", 20*time.Second)
			talk := dora.Call("sip:emil@example.com")
			in := emil.Incoming()
			in.Answer()
			talk.Hears(bobTone)
			in.Hears(aliceTone)

			wire.Cut()
			echo.Hears(aliceTone)
			in.Hears(aliceTone)
			comesBack(t, dora, wire)

			echo.RestartICE()
			echo.Hears(aliceTone)
			echo.Hold()
			echo.HearsNothing()
			echo.Resume()
			echo.Hears(aliceTone)
			echo.Hangup()
			echo.Wait("ended", 10*time.Second)

			wire.CutNear() // the gateway still thinks the old connection alive
			hangsUp(t, asterisk, "Milliwatt")
			comesBack(t, dora, wire)
			third.Wait("ended", 20*time.Second)

			in.Hold()
			talk.HearsNothing()
			in.Resume()
			talk.Hears(bobTone)
			if status := talk.Transfer("sip:601@example.com"); status != 200 {
				t.Errorf("the referrer heard %d", status)
			}
			in.Hears(milliwatt)
			in.Hangup()
			in.Wait("ended", 10*time.Second)
			talk.Leave()
			s.quiet(t)
		})
	}
}

// Clients that stay away while their media goes on, beyond the limit for that: both legs end, the record says why, and who comes
// back too late is told. The next call is as any other.
func TestClientsStayAway(t *testing.T) {
	s := newSite(t, onePBX+"call: {orphan-limit: 1s, flow-grace: 5m}")
	asterisk := lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	s.ladderOnFailure(t)
	users := []string{"alice", "bob"}
	var phones []*lab.Phone
	var wires []*lab.Wire
	var calls []*lab.Call
	for i, library := range bothLibraries {
		account, wire := s.wired(t, users[i], aliceTone)
		p := chromium.Open(t).Phone(t, library, account)
		if status := p.Register(); status != 200 {
			t.Fatalf("REGISTER: %d", status)
		}
		c := p.Call("sip:600@example.com")
		c.Wait("answered", 20*time.Second)
		c.Hears(aliceTone)
		phones, wires, calls = append(phones, p), append(wires, wire), append(calls, c)
	}
	for _, wire := range wires {
		wire.Cut()
	}
	lab.Eventually(t, 30*time.Second, "both calls end", func() error {
		if stats := s.Bridge().Stats(); stats.Calls != 0 || stats.CallsEnded["orphaned"] != 2 {
			return fmt.Errorf("%+v", stats)
		}
		return nil
	})
	s.lastRecord(t, func(r record) error {
		if r.Reason != "orphaned" || r.By != "gateway" || r.Answer.IsZero() {
			return fmt.Errorf("record %+v", r)
		}
		return nil
	})
	lab.Eventually(t, 10*time.Second, "the PBX has no call either", func() error {
		if out, err := asterisk.CLI("core show channels count"); err != nil || !strings.Contains(out, "0 active channels") {
			return fmt.Errorf("%v\n%s", err, out)
		}
		return nil
	})
	for i, p := range phones {
		calls[i].HearsNothing()
		comesBack(t, p, wires[i])
		calls[i].Wait("ended", 20*time.Second)
		echo(t, s, p)
	}
	s.quiet(t)
}
