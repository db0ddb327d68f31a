package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// The tone that Asterisk's 601 plays, Hz.
const milliwatt = 1004

const fridaTone = 1300

// Two PBXs whose users are known by their names; the second is a trunk for the domain other.example.
const pbxAndTrunk = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
trunks:
  other: {uri: "sip:127.0.0.11:5060"}
routes:
  - {from: browsers, domain: other.example, to: other}
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, user: '^6..$', to: pbx}
  - {from: pbx, to: browsers}
`

// A browser transfers a browser: the PBX does it where both calls are its own, else the gateway joins the two PBXs. And the PBX
// transfers a browser.
func TestTransfer(t *testing.T) {
	s := newSite(t, pbxAndTrunk)
	users := lab.AsteriskConfig{Trusted: []string{"dora", "emil", "frida"}}
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10", users)
	lab.StartAsterisk(t, "127.0.0.11", users)
	chromium := lab.StartChromium(t)
	rows := []struct {
		name   string
		target string
		asked  bool // the target is talked to first
	}{
		{"blind by the PBX", "sip:601@example.com", false},
		{"attended by the PBX", "sip:frida@example.com", true},
		{"blind by the gateway", "sip:601@other.example", false},
		{"attended by the gateway", "sip:601@other.example", true},
	}
	for i, pair := range [][2]lab.Library{{lab.JsSIP, lab.SIPJS}, {lab.SIPJS, lab.JsSIP}} {
		t.Run(string(pair[0])+" blind by Asterisk", func(t *testing.T) {
			s.ladderOnFailure(t)
			dora := chromium.Open(t).Phone(t, pair[0], s.account("dora", aliceTone))
			if status := dora.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			byAsterisk(t, s, dora, i+1)
		})
		for _, row := range rows {
			t.Run(string(pair[0])+" "+row.name, func(t *testing.T) {
				s.ladderOnFailure(t)
				dora := chromium.Open(t).Phone(t, pair[0], s.account("dora", aliceTone))
				emil := chromium.Open(t).Phone(t, pair[1], s.account("emil", bobTone))
				if a, b := dora.Register(), emil.Register(); a != 200 || b != 200 {
					t.Fatalf("REGISTER: %d and %d", a, b)
				}
				out := dora.Call("sip:emil@example.com")
				in := emil.Incoming()
				in.Answer()
				in.Hears(aliceTone)
				status, heard := 0, float64(milliwatt)
				var frida *lab.Phone
				if row.asked {
					out.Hold()
					if strings.HasPrefix(row.target, "sip:frida") {
						heard = fridaTone
						frida = chromium.Open(t).Phone(t, pair[0], s.account("frida", fridaTone))
						if status := frida.Register(); status != 200 {
							t.Fatalf("REGISTER: %d", status)
						}
					}
					second := dora.Call(row.target)
					if frida != nil {
						frida.Incoming().Answer()
					}
					second.Wait("answered", 10*time.Second)
					second.Hears(heard)
					status = out.TransferTo(second)
				} else {
					status = out.Transfer(row.target)
				}
				if status != 200 {
					t.Errorf("the referrer heard %d", status)
				}
				in.Hears(heard)
				out.Leave()
				in.Hangup()
				in.Wait("ended", 5*time.Second)
				s.quiet(t)
			})
		}
	}
}

// byAsterisk has the PBX send a browser elsewhere by REFER: the gateway calls the target, and the browser hears it in the call that
// it has.
func byAsterisk(t *testing.T, s *site, dora *lab.Phone, times int) {
	c := dora.Call("sip:630@example.com")
	c.Wait("answered", 20*time.Second)
	c.Hears(milliwatt)
	lab.Eventually(t, 20*time.Second, "the PBX is told", func() error {
		_, log, _ := strings.Cut(s.asterisk.Log(), "LAB-TRANSFER")
		if strings.Count(log, ": LAB-TRANSFER SUCCESS") != times {
			return fmt.Errorf("it logged %q", log)
		}
		return nil
	})
	c.Hangup()
	c.Wait("ended", 10*time.Second)
	s.quiet(t)
}
