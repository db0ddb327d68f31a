package gateway

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryCheck = 10 * time.Second
	memoryWorth = 2 << 20  // bytes: less is not worth a collection
	memoryLater = 4        // checks after the last one with news: transactions that lingered are over by then (64·T1, 32 s)
	memoryShare = 50       // percent of what is in use that may become garbage, at least
	memoryRoom  = 64 << 20 // bytes that may become garbage in any case: a small heap would be collected many times a second
)

// memoryFigures are the runtime's, in bytes.
type memoryFigures struct {
	live    uint64 // heap that the latest collection found in use
	heap    uint64 // with what has become garbage, and what is new, since
	spare   uint64 // free, yet not given back to the system
	written uint64 // allocated since the process began
}

// settler gives memory back once a burst of calls is set up, and again when what lingers of it has become garbage too. Left alone
// the runtime keeps the garbage of handshakes and messages, as much as is in use, for minutes, for without new calls hardly anything
// makes it collect.
type settler struct {
	read   func() memoryFigures
	settle func()
	share  func(percent int)
	before uint64 // written at the latest check
	later  int    // checks until the second settlement; 0: none is due
}

func newSettler() *settler {
	return &settler{read: readMemory, settle: debug.FreeOSMemory, share: func(int) {}}
}

// SettleMemory keeps the process's garbage in bounds and gives memory back after bursts, until ctx ends. GOGC in the environment
// overrides its share of garbage. Run has it running.
func SettleMemory(ctx context.Context) {
	s := newSettler()
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(garbageShare(0)))
		s.share = func(percent int) { debug.SetGCPercent(percent) }
	}
	every := time.NewTicker(memoryCheck)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			s.check()
		}
	}
}

// check settles where at least an eighth of what is in use would be gained, for a collection looks at all of that; not during a
// burst, when the runtime collects by itself soon. What has died since the latest collection no figure tells: that is settled once.
func (s *settler) check() {
	m := s.read()
	s.share(garbageShare(m.live))
	fresh := m.written - s.before
	s.before = m.written
	gain := m.heap - min(m.heap, m.live) + m.spare
	settle := gain >= max(memoryWorth, m.live/8) && fresh < max(memoryWorth, m.live/2)
	switch {
	case fresh >= memoryWorth:
		s.later = memoryLater
	case s.later > 0:
		s.later--
		settle = settle || s.later == 0
	}
	if settle {
		s.settle()
	}
}

// garbageShare is the percent of the live bytes that may become garbage before the next collection.
func garbageShare(live uint64) int {
	return max(memoryShare, int(100*memoryRoom/max(live, memoryRoom/10)))
}

func readMemory() memoryFigures {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	return memoryFigures{live: value(0), heap: value(1), spare: value(2), written: value(3)}
}
