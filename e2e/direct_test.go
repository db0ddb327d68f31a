package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// directSite is a gateway between a carrier and a PBX that send each other their media.
const directSite = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}, media: direct}
trunks:
  carrier: {uri: "sip:127.0.0.30:5060", hide: false, media: direct}
routes: [{from: carrier, to: pbx}]
`

// received is how many packets Asterisk's channels have had, by `pjsip show channelstats`: the fourth column.
var received = regexp.MustCompile(`(?m)^ *\S+ +\d\d:\d\d:\d\d +(\S+) +([1-9]\d\d+) `)

// sipp calls the echo of an Asterisk through the gateway: their packets go from the one to the other, and the gateway has no port.
func TestDirectMedia(t *testing.T) {
	asterisk := lab.StartAsterisk(t, "127.0.0.10")
	s := newSite(t, directSite)
	s.ladderOnFailure(t)
	sipp := lab.StartSipp(t, "caller", "127.0.0.30", "127.0.0.20:5060", 1, "-s", "600")
	lab.Eventually(t, 30*time.Second, "a hundred packets at Asterisk", func() error {
		text, err := asterisk.CLI("pjsip show channelstats")
		if err == nil && !received.MatchString(text) {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	for port := 30000; port < 31000; port++ {
		if hasSocket(t, port) {
			t.Errorf("the gateway has port %d", port)
		}
	}
	if _, err := asterisk.CLI("channel request hangup all"); err != nil {
		t.Fatal(err)
	}
	sipp.Wait(t)
	s.quiet(t)
	s.lastRecord(t, func(r record) error {
		if !r.Direct || len(r.Media) != 0 || r.Status != 200 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if n := s.Bridge().Stats().CallsDirect; n != 1 {
		t.Errorf("%d direct calls", n)
	}
}

// hasSocket says whether anybody has a UDP port on the gateway's address.
func hasSocket(t *testing.T, port int) bool {
	t.Helper()
	sockets, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(sockets), fmt.Sprintf(" 1400007F:%04X ", port))
}
