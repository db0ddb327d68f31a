package e2e

import (
	"fmt"

	"tandem/e2e/load"
)

const (
	adaptive = "adaptive" // the default of media.tick
	tickRuns = 3          // at most: five gateways take their turns
)

// ticks prints CPU against latency for each way to wake a worker up: at once, after fixed times, and the default.
func (m *mediaBench) ticks() {
	var relays []*relay
	for i, tick := range []string{"0", "250us", "500us", "1ms", adaptive} {
		host := fmt.Sprintf("127.0.0.%d", 20+i)
		relays = append(relays, m.tandemRelay("tick "+tick, startGateway(m.b, host, tick, m.shared), "wss://"+host+":8443/sip", load.GCM, half))
	}
	fmt.Printf("\nCPU against latency by media.tick, %s\n", profileTitle(load.GCM))
	printColumns()
	for _, calls := range m.calls {
		if calls > m.latencyCalls() {
			break
		}
		for _, r := range relays {
			m.must(r.grow(m.ctx, calls))
		}
		m.compare(relays, calls, min(m.runs, tickRuns))
	}
}
