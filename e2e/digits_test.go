package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

const betweenPBXes = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  dialling: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}, dtmf: %s}
  reading: {members: ["sip:127.0.0.11:5060"], probe: {every: 0s}, dtmf: %s}
routes:
  - {from: dialling, to: reading}
  - {from: browsers, to: reading}
`

// dialsDigits has an Asterisk call the other and dial 1379, again where a machine too busy for tones in real time spoilt them.
func dialsDigits(t *testing.T, from, to *lab.Asterisk, want string) {
	t.Helper()
	var dialled time.Time
	lab.Eventually(t, 75*time.Second, "Asterisk reads "+want, func() error {
		if time.Since(dialled) > 20*time.Second {
			dialled = time.Now()
			if _, err := from.CLI("channel originate PJSIP/605@tandem extension 611@lab"); err != nil {
				return err
			}
		}
		if log := to.Log(); !strings.Contains(log, "LAB-DTMF got="+want) {
			_, read, _ := strings.Cut(log, "LAB-DTMF")
			return fmt.Errorf("it read %q", read)
		}
		return nil
	})
}

// One Asterisk dials digits in its form, another reads them in its own; so does a browser, in the two forms that it has.
func TestDigitsInEveryForm(t *testing.T) {
	chromium := lab.StartChromium(t)
	for _, from := range []string{"rfc4733", "info", "inband"} {
		for _, to := range []string{"rfc4733", "info", "inband"} {
			t.Run(from+" to "+to, func(t *testing.T) {
				s := newSite(t, fmt.Sprintf(betweenPBXes, from, to))
				s.ladderOnFailure(t)
				with := lab.AsteriskConfig{Peer: "127.0.0.20:5060", Trunk: lab.AsteriskMedia{Allow: "ulaw,alaw"}}
				with.Trunk.DTMF = from
				dialling := lab.StartAsterisk(t, "127.0.0.10", with)
				with.Trunk.DTMF = to
				reading := lab.StartAsterisk(t, "127.0.0.11", with)
				dialsDigits(t, dialling, reading, "1379")
				if from != to {
					return // a browser needs to be tried with each reader once
				}
				for _, how := range []string{"info", "rfc4733"} {
					c := chromium.Open(t).Phone(t, lab.JsSIP, s.account("nobody", aliceTone)).Call("sip:605@example.com")
					c.Wait("answered", 10*time.Second)
					c.Speaks()
					want := map[string]string{"info": "2468", "rfc4733": "5802"}[how]
					c.Digits(want, how)
					readsDigits(t, reading, want)
					c.Wait("ended", 15*time.Second)
				}
				s.quiet(t)
			})
		}
	}
}
