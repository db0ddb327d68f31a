package e2e

import "testing"

const betweenOddSipps = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  caller: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}}
  moving: {members: ["sip:127.0.0.30:5060"], probe: {every: 0s}}
routes:
  - {from: caller, to: moving}
`

// A sipp writes as RFC 4475, RFC 5118 and RFC 2543 have it, and its callee forks, ends a fork, holds in the old way, moves to a mixer and
// to a server of music, and at last denies the call. Each fails where it sees anything but its scenario.
func TestOddSipps(t *testing.T) {
	s := newSite(t, betweenOddSipps)
	s.ladderOnFailure(t)
	moving := boundedSipp(t, "moving-callee", "127.0.0.30", "", 1)
	boundedSipp(t, "odd-caller", "127.0.0.31", "127.0.0.20:5060", 1).Wait(t)
	if t.Failed() {
		return // the other waits for calls that do not come
	}
	moving.Wait(t)
	s.quiet(t)
}
