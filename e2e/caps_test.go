package e2e

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// withCaps has a pool whose member takes two calls, a trunk for two more, and a class of destinations that a user may call twice.
const withCaps = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  pbx: {members: {uri: "sip:127.0.0.30:5060", max-calls: 2}, probe: off, emergency: "112"}
trunks:
  caller: {uri: "sip:127.0.0.40:5060", trust: true}
  carrier: {uri: "sip:127.0.0.31:5060", max-calls: 2}
routes:
  - {from: caller, prefix: "+49900", to: carrier, classes: [national]}
  - {from: caller, to: [pbx, carrier]}
limits: {calls: 100, user: {calls: 50}, cpu: 100%}
fraud:
  classes: {national: {prefix: "+49"}, premium: {prefix: ["+882", "+49900"]}}
  spending: {exotic: {class: premium, user: {calls: 2}, action: end}}
`

// Toll fraud is stopped by itself: the third call to a costly destination ends all of them, a fourth is refused, and an operator
// releases the user. Then a full member leads to the next target, all full to 503, and an emergency call passes. sipp is at every
// end.
func TestCapsAndTollFraud(t *testing.T) {
	s := newSite(t, withCaps)
	s.ladderOnFailure(t)
	for _, addr := range []string{"127.0.0.30", "127.0.0.31"} {
		lab.StartSipp(t, "brief-callee", addr, "", lab.Many)
	}
	call := func(scenario, number string, calls int) *lab.Sipp {
		return lab.StartSipp(t, scenario, "127.0.0.40", "127.0.0.20:5060", calls, "-r", "20", "-s", number, "-d", "10", "-timeout", "180s", "-timeout_error")
	}
	placed := func(pbx, carrier int) {
		t.Helper()
		lab.Eventually(t, 30*time.Second, "the calls are up", func() error {
			peers := s.Bridge().Stats().Peers
			if peers["pbx"].Calls != pbx || peers["carrier"].Calls != carrier {
				return fmt.Errorf("%+v", peers)
			}
			return nil
		})
	}

	call("ended-caller", "+8821", 3).Wait(t)
	s.quiet(t)
	alarms := s.Alarms()
	if len(alarms) != 1 || alarms[0].User != "sip:sipp@127.0.0.40" || alarms[0].Calls != 3 || !alarms[0].Active {
		t.Fatalf("%+v", alarms)
	}
	if heard := <-s.alarms; heard.ID != alarms[0].ID || heard.Spending != "exotic" || heard.Action != "end" {
		t.Errorf("the event: %+v", heard)
	}
	s.lastRecord(t, func(r record) error {
		if r.Reason != "toll-stopped" {
			return fmt.Errorf("ended as %s", r.Reason)
		}
		return nil
	})
	call("refused-caller", "+8822", 1).Wait(t)  // stopped
	call("refused-caller", "+49900", 1).Wait(t) // of a class that the rule does not allow
	call("brief-caller", "+4930", 1).Wait(t)
	if n := s.Release(alarms[0].ID); n != 1 {
		t.Errorf("%d released", n)
	}
	call("brief-caller", "+8822", 1).Wait(t)
	s.quiet(t)

	held := call("ended-caller", "600", 4)
	placed(2, 2)
	beside := func(scenario, number string) *lab.Sipp {
		sipp := lab.StartSipp(t, scenario, "127.0.0.40", "127.0.0.20:5060", 1, "-p", "5070", "-s", number, "-d", "10", "-timeout", "180s", "-timeout_error")
		sipp.Wait(t)
		return sipp
	}
	counts, err := beside("patient-caller", "600").Counts()
	if err != nil || counts.Refused != 1 {
		t.Errorf("with all full: %+v, %v", counts, err)
	}
	beside("brief-caller", "112")
	stats := s.Bridge().Stats()
	if stats.Members["pbx/127.0.0.30:5060"]["calls"] != 1 || stats.Peers["carrier"].Capped["calls"] != 1 {
		t.Errorf("refused: %v by the member, %+v by the trunk", stats.Members, stats.Peers["carrier"])
	}
	s.Close() // each gets its BYE
	held.Wait(t)
}
