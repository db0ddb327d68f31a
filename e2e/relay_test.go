package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"tandem/e2e/lab"
)

// withRelay takes no ICE over TCP, so that without UDP only a relay is left.
const withRelay = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", tcp: off, rtp: {ports: 30000-30999}}
turn: {listen: ["udp://127.0.0.20:3478", "tcp://127.0.0.20:3478", "tls://127.0.0.20:5349"]}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
admin: {listen: "127.0.0.20:0"}
`

// detoured gives how many packets came from relays within the gateway's process, and went to them.
func (s *site) detoured(t *testing.T) (in, out int) {
	t.Helper()
	const name = `tandem_media_turn_packets_total{direction=%q}`
	got, err := metrics(s.AdminURL(), fmt.Sprintf(name, "in"), fmt.Sprintf(name, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return got[fmt.Sprintf(name, "in")], got[fmt.Sprintf(name, "out")]
}

// A browser that is to use nothing but relays talks over each transport, and over the port of HTTPS; one whose UDP is blocked finds
// its way by itself.
func TestRelay(t *testing.T) {
	s := newSite(t, withRelay)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	https := netip.MustParseAddrPort(strings.TrimPrefix(s.URLs()[0], "https://"))
	for _, row := range []struct {
		name, server, policy string
		blocked              bool // UDP of the browser
		relay                string
		library              lab.Library
	}{
		{"UDP", "transport=udp", "relay", false, "udp", lab.JsSIP},
		{"TCP", ":3478?transport=tcp", "relay", false, "tcp", lab.SIPJS},
		{"TLS", ":5349?transport=tcp", "relay", false, "tls", lab.JsSIP},
		{"port of HTTPS", fmt.Sprintf(":%d?transport=tcp", https.Port()), "relay", true, "tls", lab.JsSIP},
		{"UDP blocked", "transport=", "all", true, "tcp", lab.SIPJS},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.ladderOnFailure(t)
			if row.blocked {
				lab.Block(t, "-p", "udp", "-s", "127.0.0.1")
			}
			tab := chromium.Open(t)
			tab.Servers(t, s.URLs()[0]+"/ice.json", row.server, row.policy)
			p := tab.Phone(t, row.library, s.account("alice", aliceTone))
			in, out := s.detoured(t)
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			c := p.Call("sip:600@example.com")
			c.Wait("answered", 30*time.Second)
			c.Hears(aliceTone)
			want := lab.Pair{Protocol: "udp", Relay: row.relay, Address: "127.0.0.20", Port: s.MediaAddrs()[0].Port()}
			settles(t, c, func(pair lab.Pair) bool { return pair == want })
			lab.Eventually(t, 30*time.Second, "a second of sound has no socket between relay and media", func() error {
				if in2, out2 := s.detoured(t); in2 < in+50 || out2 < out+50 {
					return fmt.Errorf("%d packets came from the relay within the process, %d went to it", in2-in, out2-out)
				}
				return nil
			})
			c.Hangup()
			c.Wait("ended", 5*time.Second)
			s.quiet(t)
		})
	}
	t.Run("the phone", func(t *testing.T) {
		s.ladderOnFailure(t)
		lab.Block(t, "-p", "udp", "-s", "127.0.0.1")
		alice := chromium.Visit(t, s.URLs()[0]).Person(t)
		alice.Write("User", "alice")
		alice.Write("Password", "guessed")
		alice.Press("button", "Register")
		alice.Reads("status", "", "User or password is wrong.")
		alice.Finds("textbox", "Password", "aria-invalid", "true")
		alice.Write("Password", "alicepw")
		alice.Press("button", "Register")
		alice.Reads("status", "Registration", "alice")
		alice.Write("Number or name", "600"+kb.Enter)
		alice.Meets("Their level", "the echo is heard", loud)
		alice.Reads("status", "", "Your network blocks UDP: using the relay.")
		alice.Press("button", "Hang up")
		s.quiet(t)
	})
}
