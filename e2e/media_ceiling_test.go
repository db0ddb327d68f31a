package e2e

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

const (
	ceilingFrom = 40_000 // packets a second
	ceilingStep = 1.25
	ceilingLoss = 0.001
	ceilingTop  = 1_000_000
)

// ceiling finds at which rate each relay, held to one CPU, begins to lose packets. The generator has the other CPUs.
func (m *mediaBench) ceiling(relays []*relay) {
	if runtime.NumCPU() < 2 {
		fmt.Println("ceiling: needs a CPU for the relay and one for the generator")
		return
	}
	var others []int
	for cpu := 1; cpu < runtime.NumCPU(); cpu++ {
		others = append(others, cpu)
	}
	m.must(lab.Pin(os.Getpid(), others...))
	defer func() { m.must(lab.Pin(os.Getpid(), append(others, 0)...)) }()
	calls := slices.Max(m.calls)
	fmt.Printf("\nceiling: packets a second on one CPU with less than %.1f %% lost, %d calls\n", 100*ceilingLoss, calls)
	for _, r := range relays {
		if len(r.pids) == 0 {
			continue
		}
		m.must(lab.Pin(r.pids[0], 0))
		best, end := m.climb(r, calls)
		fmt.Printf("%-12s %7.0f packets/s at %.2f µs; %s\n", r.name, best.rate, best.cost, end)
		m.must(lab.Pin(r.pids[0], append(others, 0)...))
	}
}

// climb raises the rate until packets are lost, and gives the last measurement without loss and why there is no better one.
func (m *mediaBench) climb(r *relay, calls int) (best sample, end string) {
	for rate := float64(ceilingFrom); rate < ceilingTop; rate *= ceilingStep {
		s, err := r.measure(m.ctx, m.g, load.Load{
			Sessions: r.sessions[:calls], Rate: rate / float64(2*calls), Warm: 300 * time.Millisecond, Duration: time.Second,
		})
		m.must(err)
		switch {
		case s.loss > ceilingLoss:
			return best, fmt.Sprintf("at %.0f it lost %.2f %%", rate, 100*s.loss)
		case s.sent < 0.97*rate:
			return best, fmt.Sprintf("the generator could not send %.0f", rate)
		}
		best = s
	}
	return best, "no end found"
}
