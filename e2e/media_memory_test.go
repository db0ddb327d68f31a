package e2e

import (
	"fmt"
	"slices"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

const (
	idleBrowsers      = 500 // WebSockets
	referenceBrowsers = 200 // Kamailio's shared memory, 64 MB by default, has no room for 500
)

// memory measures what an idle WebSocket, a call and a media session hold, long enough after they were set up.
func (m *mediaBench) memory() {
	calls := slices.Max(m.calls)
	tandem, reference := startGateway(m.b, mediaHost, adaptive, m.shared), lab.StartReference(m.b)
	host := m.mediaHostRelay(load.GCM)
	rtpengine := m.rtpengineRelay(reference, load.GCM, half)
	idle := m.settled(tandem.Pid(), host.pids[0], rtpengine.pids[0], reference.Pid("kamailio"))
	browsers := m.browsers(mediaURL, idleBrowsers)
	m.browsers(reference.URL, referenceBrowsers)
	m.must(host.grow(m.ctx, calls))
	m.must(rtpengine.grow(m.ctx, calls))
	connected := m.settled(tandem.Pid(), host.pids[0], rtpengine.pids[0], reference.Pid("kamailio"))
	for i := range calls {
		_, err := browsers[i%callBrowsers].Call(m.ctx, half(i), load.GCM)
		m.must(err)
	}
	called := m.settled(tandem.Pid())
	each := func(before, after, count int) float64 { return float64(after-before) / float64(count) }
	socket, session, call := each(idle[0], connected[0], idleBrowsers), each(idle[1], connected[1], calls), each(connected[0], called[0], calls)
	fmt.Printf("\nmemory: kB of PSS, %v after %d WebSockets and %d calls were up\n", m.wait, idleBrowsers, calls)
	fmt.Printf("tandem     %6.1f an idle WebSocket  %6.1f a media session  %6.1f a call without its WebSocket\n", socket, session, call)
	fmt.Printf("reference  %6.1f an idle WebSocket  %6.1f a media session\n", each(idle[3], connected[3], referenceBrowsers), each(idle[2], connected[2], calls))
	m.figure("kB-per-media-session", session, "20")
	m.figure("kB-per-call", call, "45")
	m.figure("kB-per-idle-websocket", socket, "20")
}

// settled reads what processes hold when nothing has changed for the time of WAIT.
func (m *mediaBench) settled(pids ...int) (kilobytes []int) {
	select {
	case <-time.After(m.wait):
	case <-m.ctx.Done():
		m.b.Fatal(m.ctx.Err())
	}
	for _, pid := range pids {
		memory, err := lab.MemoryOf(pid)
		m.must(err)
		kilobytes = append(kilobytes, memory.PSS)
	}
	return kilobytes
}
