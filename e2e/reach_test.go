package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// overIPv6 has browsers of IPv6 only and a PBX of IPv4 only.
const overIPv6 = `
https: {listen: "https://[fd00:7a::20]:0"}
sip: {listen: ["udp://127.0.0.20:5060", "tcp://127.0.0.20:5060"]}
media: {listen: "[fd00:7a::20]:0", rtp: {ports: 30000-30999}}
turn: {listen: "udp://[fd00:7a::20]:3478"}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: pbx, register: forward}
  - {from: pbx, to: browsers}
`

// A browser whose network lets no UDP through talks over TCP: to the media port, or where that is blocked too, to the port
// of HTTPS.
func TestUDPBlocked(t *testing.T) {
	s := newSite(t, onePBX)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	https := netip.MustParseAddrPort(strings.TrimPrefix(s.URLs()[0], "https://"))
	media := s.MediaAddrs()[0]
	rows := []struct {
		name    string
		blocked bool // TCP to the media port
		port    uint16
	}{
		{"media port", false, media.Port()},
		{"HTTPS port", true, https.Port()},
	}
	for _, row := range rows {
		for _, library := range []lab.Library{lab.JsSIP, lab.SIPJS} {
			t.Run(row.name+" "+string(library), func(t *testing.T) {
				s.ladderOnFailure(t)
				lab.Block(t, "-p", "udp", "!", "-s", "127.0.0.10", "!", "-d", "127.0.0.10") // the PBX is elsewhere
				if row.blocked {
					lab.Block(t, "-p", "tcp", "--dport", strconv.Itoa(int(media.Port())))
				}
				p := chromium.Open(t).Phone(t, library, s.account("alice", aliceTone))
				if status := p.Register(); status != 200 {
					t.Fatalf("REGISTER: %d", status)
				}
				goesBy(t, p, lab.Pair{Protocol: "tcp", Address: "127.0.0.20", Port: row.port})
				if lab.Dropped(t, "udp") == 0 {
					t.Error("the browser did not even try UDP")
				}
				if row.blocked && lab.Dropped(t, "tcp") == 0 {
					t.Error("the browser did not even try the media port")
				}
				s.quiet(t)
			})
		}
	}
}

// The network changes under a running call: UDP does not pass any more. Where Chromium has put its pair over TCP aside already, which it does
// soon after UDP works, the page offers anew; of that the PBX hears nothing.
func TestUDPBlockedMeanwhile(t *testing.T) {
	s := newSite(t, onePBX)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	s.ladderOnFailure(t)
	p := lab.StartChromium(t).Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
	if status := p.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	c := p.Call("sip:600@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(aliceTone)
	settles(t, c, func(pair lab.Pair) bool { return pair.Protocol == "udp" })
	invites := s.ladder.count("INVITE")
	lab.Block(t, "-p", "udp", "!", "-s", "127.0.0.10", "!", "-d", "127.0.0.10")
	byTCP := func() bool { return c.Pair().Protocol == "tcp" }
	lab.Eventually(t, 30*time.Second, "the browser notices", func() error {
		if state := c.State().ICE; state != "disconnected" && !byTCP() {
			return fmt.Errorf("ICE is %s", state)
		}
		return nil
	})
	if !byTCP() {
		c.RestartICE()
		invites++
	}
	lab.Eventually(t, 30*time.Second, "the browser goes over to TCP", func() error {
		if !byTCP() {
			return fmt.Errorf("the pair in use is %+v, %s", c.Pair(), c.State().ICE)
		}
		return nil
	})
	c.Hears(aliceTone)
	if n := s.ladder.count("INVITE"); n != invites {
		t.Errorf("%d INVITEs too many", n-invites)
	}
	c.Hangup()
	c.Wait("ended", 5*time.Second)
	s.quiet(t)
}

// goesBy calls the echo and the tone, and looks by which pair the packets go.
func goesBy(t *testing.T, p *lab.Phone, want lab.Pair) {
	t.Helper()
	for target, frequency := range map[string]float64{"sip:600@example.com": aliceTone, "sip:601@example.com": 1004} {
		c := p.Call(target)
		c.Wait("answered", 15*time.Second)
		c.Hears(frequency)
		settles(t, c, func(pair lab.Pair) bool { return pair == want })
		c.Hangup()
		c.Wait("ended", 5*time.Second)
	}
}

// settles waits until the browser has gone over to the pair that it is to prefer: it uses any that works meanwhile.
func settles(t *testing.T, c *lab.Call, wanted func(lab.Pair) bool) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, "the browser prefers the right pair", func() error {
		if pair := c.Pair(); !wanted(pair) {
			return fmt.Errorf("the pair in use is %+v", pair)
		}
		return nil
	})
}

func TestIPv6(t *testing.T) {
	lab.Address(t, "fd00:7a::20/64")
	s := newSite(t, overIPv6)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	chromium := lab.StartChromium(t)
	for _, row := range []struct {
		library lab.Library
		relay   string
	}{{lab.JsSIP, ""}, {lab.SIPJS, ""}, {lab.JsSIP, "udp"}} {
		t.Run(string(row.library)+row.relay, func(t *testing.T) {
			s.ladderOnFailure(t)
			tab := chromium.Open(t)
			if row.relay != "" {
				tab.Servers(t, s.URLs()[0]+"/ice.json", "transport="+row.relay, "relay")
			}
			p := tab.Phone(t, row.library, s.account("alice", aliceTone))
			if status := p.Register(); status != 200 {
				t.Fatalf("REGISTER: %d", status)
			}
			goesBy(t, p, lab.Pair{Protocol: "udp", Relay: row.relay, Address: "fd00:7a::20", Port: s.MediaAddrs()[0].Port()})
			s.lastRecord(t, func(r record) error {
				if r.Status != 200 {
					return fmt.Errorf("record %+v", r)
				}
				return nil
			})
			s.quiet(t)
		})
	}
}
