package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// Two Asterisks behind round-robin, each the registrar of the users that hash to it; one is killed. Its users register with the
// other one by the challenge that they are then given, and call and are called there.
func TestTwoAsterisksOneKilled(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
		t.Run(string(library), func(t *testing.T) {
			s := newSite(t, twoPBXes)
			pbxes := map[string]*lab.Asterisk{}
			for _, addr := range []string{"127.0.0.10", "127.0.0.11"} {
				pbxes[addr] = lab.StartAsterisk(t, addr)
			}
			s.ladderOnFailure(t)
			phones := map[string]*lab.Phone{}
			for _, user := range lab.AsteriskUsers {
				phones[user] = chromium.Open(t).Phone(t, library, s.account(user, aliceTone))
				if status := phones[user].Register(); status != 200 {
					t.Fatalf("REGISTER of %s: %d", user, status)
				}
			}
			echoOf(phones)
			home := registrarOf(t, pbxes, "alice")
			other := otherThan(pbxes, home)
			home.Kill()
			// the libraries refresh by themselves, for no more than 20 s are granted
			for _, user := range lab.AsteriskUsers {
				lab.Eventually(t, 30*time.Second, user+" registers without "+home.Addr, func() error {
					if !other.Registered(t, user) {
						return fmt.Errorf("no contact at %s", other.Addr)
					}
					return nil
				})
			}
			echoOf(phones)
			if _, err := other.CLI("channel originate PJSIP/alice extension 601@lab"); err != nil {
				t.Fatal(err)
			}
			in := phones["alice"].Incoming()
			in.Answer()
			in.Hears(1004)
			in.Hangup()
			home.Start(t)
			lab.Eventually(t, 10*time.Second, home.Addr+" is found alive again", func() error {
				if !s.alive("pbx/" + home.Addr + ":5060") {
					return fmt.Errorf("still down")
				}
				return nil
			})
			s.quiet(t)
		})
	}
}

func echoOf(phones map[string]*lab.Phone) {
	for _, p := range phones {
		c := p.Call("sip:600@example.com")
		c.Wait("answered", 15*time.Second)
		c.Hears(aliceTone)
		c.Hangup()
		c.Wait("ended", 5*time.Second)
	}
}

func registrarOf(t *testing.T, pbxes map[string]*lab.Asterisk, user string) *lab.Asterisk {
	t.Helper()
	for _, pbx := range pbxes {
		if pbx.Registered(t, user) {
			return pbx
		}
	}
	t.Fatalf("no Asterisk knows a contact of %s", user)
	return nil
}

func otherThan(pbxes map[string]*lab.Asterisk, one *lab.Asterisk) *lab.Asterisk {
	for _, pbx := range pbxes {
		if pbx != one {
			return pbx
		}
	}
	return nil
}
