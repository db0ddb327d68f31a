package e2e

import (
	"testing"

	"tandem/e2e/lab"
)

const withRacers = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  caller: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}}
  brief: {members: ["sip:127.0.0.30:5060"], probe: {every: 0s}}
  ringing: {members: ["sip:127.0.0.32:5060"], probe: {every: 0s}}
  leaving: {members: ["sip:127.0.0.33:5060"], probe: {every: 0s}}
  holding: {members: ["sip:127.0.0.34:5060"], probe: {every: 0s}}
  crossed: {members: ["sip:127.0.0.35:5060"], probe: {every: 0s}}
  moved: {members: ["sip:127.0.0.36:5060"], probe: {every: 0s}, redirect: follow}
routes:
  - {from: caller, user: '^brief$', to: brief}
  - {from: caller, user: '^ringing$', to: ringing}
  - {from: caller, user: '^leaving$', to: leaving}
  - {from: caller, user: '^holding$', to: holding}
  - {from: caller, user: '^crossed$', to: crossed}
  - {from: caller, user: '^moved$', to: moved}
`

// The races of RFC 5407 whose crossing a peer can bring about by itself, one call after another, and RFC 3665's redirection with the
// answer in the ACK: a sipp calls others, and all fail where anything but their scenario happens.
func TestRacesBetweenSipps(t *testing.T) {
	s := newPatientSite(t, withRacers)
	s.ladderOnFailure(t)
	sipps := []*lab.Sipp{
		boundedSipp(t, "brief-callee", "127.0.0.30", "", 5),
		boundedSipp(t, "ringing-callee", "127.0.0.32", "", 1),
		boundedSipp(t, "leaving-callee", "127.0.0.33", "", 4),
		boundedSipp(t, "holding-callee", "127.0.0.34", "", 1),
		boundedSipp(t, "crossed-callee", "127.0.0.35", "", 1),
		boundedSipp(t, "moved-callee", "127.0.0.36", "", 1),
	}
	boundedSipp(t, "racing-caller", "127.0.0.31", "127.0.0.20:5060", 1).Wait(t)
	if t.Failed() {
		return // the others wait for calls that do not come
	}
	for _, sipp := range sipps {
		sipp.Wait(t)
	}
	s.quiet(t)
}
