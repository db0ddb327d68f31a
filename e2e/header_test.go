package e2e

import (
	"testing"

	"tandem/e2e/lab"
)

const betweenFourSipps = knowingSipps + `
routes:
  - {from: caller, user: '^(refused|presence)$', to: refusing}
  - {from: caller, user: '^answered$', to: answering}
  - {from: caller, to: browsers}
  - {from: registering, to: browsers, register: local}
`

const knowingSipps = `
https: {listen: "https://127.0.0.20:0"}
sip: {listen: ["udp://127.0.0.20:5060"]}
media: {listen: "127.0.0.20:0", rtp: {ports: 30000-30999}}
pools:
  caller: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}}
  refusing: {members: ["sip:127.0.0.30:5060"], probe: {every: 0s}}
  answering: {members: ["sip:127.0.0.32:5060"], probe: {every: 0s}}
  registering: {members: ["sip:127.0.0.33:5060"], probe: {every: 0s}}
identity: {users: USERS}
`

// Four sipps say everything that a header may say, in compact forms, too, and see what becomes of it: what passes, what is left out,
// what is refused with which header, Accept, Accept-Encoding, Path, Unsupported and the like. Each fails where it sees anything else.
func TestHeadersBetweenSipps(t *testing.T) {
	s := knowing(t, betweenFourSipps)
	boundedSipp(t, "registering", "127.0.0.33", "127.0.0.20:5060", 1).Wait(t)
	routed := boundedSipp(t, "routed", "127.0.0.33", "", 1)
	refusing := boundedSipp(t, "header-refusing", "127.0.0.30", "", 2)
	answering := boundedSipp(t, "header-answering", "127.0.0.32", "", 1)
	boundedSipp(t, "header-caller", "127.0.0.31", "127.0.0.20:5060", 1).Wait(t)
	if t.Failed() {
		return // the others wait for calls that do not come
	}
	for _, sipp := range []*lab.Sipp{refusing, answering, routed} {
		sipp.Wait(t)
	}
	s.quiet(t)
}
