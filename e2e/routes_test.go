package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/lab"
)

// withRoutes has a trunk that calls, two pools, and two trunks that fail: nobody listens at one, the other has a fault.
const withRoutes = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  east: {members: ["sip:127.0.0.30:5060"], probe: off}
  west: {members: ["sip:127.0.0.31:5060"], probe: off}
trunks:
  caller: {uri: "sip:127.0.0.40:5060"}
  silent: {uri: "sip:127.0.0.41:5060"}
  faulty: {uri: "sip:127.0.0.42:5060"}
routes:
  - {from: caller, user: '^900', reject: 403}
  - {from: caller, prefix: "1", to: [silent, faulty, west]}
  - {from: caller, prefix: "2", to: faulty, fallback: true}
  - {from: caller, table: TABLE, rewrite: {strip: 2, prepend: "+"}}
  - {from: caller, prefix: "2", to: west, rewrite: {user: fallback}}
`

// Two pools by the longest prefix of a table, a refusal by status, a list of trunks and a rule that fall through to who lives. sipp
// is at every end, and fails where a call does not go by its scenario.
func TestRoutes(t *testing.T) {
	table := filepath.Join(t.TempDir(), "numbers")
	if err := os.WriteFile(table, []byte("0049 east\n00491 west\n00 !404\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.ReplaceAll(withRoutes, "TABLE", table))
	for _, c := range []struct {
		name, dial, caller string
		callees            map[string]string // scenario by address
		tried              string            // of the call record; "": the call was no call
		arrives            string            // in the INVITE to the last
	}{
		{"refused by status", "%39001", "refused-caller", nil, "", ""},
		{"the longest prefix", "0049-1-77", "brief-caller", map[string]string{"127.0.0.31": "brief-callee"}, "west/127.0.0.31:5060", "INVITE sip:+49177@"},
		{"a shorter one", "0049277", "brief-caller", map[string]string{"127.0.0.30": "brief-callee"}, "east/127.0.0.30:5060", "INVITE sip:+49277@"},
		{"a list of trunks", "12", "brief-caller", map[string]string{"127.0.0.42": "unavailable", "127.0.0.31": "brief-callee"},
			"silent faulty west/127.0.0.31:5060", "INVITE sip:12@"},
		{"the next rule", "2", "brief-caller", map[string]string{"127.0.0.42": "unavailable", "127.0.0.31": "brief-callee"},
			"faulty west/127.0.0.31:5060", "INVITE sip:fallback@"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.ladderOnFailure(t)
			var ends []*lab.Sipp
			for addr, scenario := range c.callees {
				ends = append(ends, lab.StartSipp(t, scenario, addr, "", 1, "-timeout", "180s", "-timeout_error"))
			}
			ends = append(ends, lab.StartSipp(t, c.caller, "127.0.0.40", "127.0.0.20:5060", 1, "-s", c.dial, "-timeout", "180s", "-timeout_error"))
			for _, end := range slices.Backward(ends) {
				end.Wait(t)
			}
			s.quiet(t)
			if c.tried == "" {
				return
			}
			s.lastRecord(t, func(r record) error {
				if got := strings.Join(r.Tried, " "); got != c.tried {
					return fmt.Errorf("tried %s, want %s", got, c.tried)
				}
				return nil
			})
			if !strings.Contains(s.ladder.String(), c.arrives) {
				t.Errorf("nowhere in the ladder: %s", c.arrives)
			}
		})
	}
}
