package gateway

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryPace  = time.Second
	memoryCheck = 10       // paces between two checks
	memoryWorth = 2 << 20  // bytes: less is not worth a collection
	memoryLater = 4        // checks after the last one with news: transactions that lingered are over by then (64·T1, 32 s)
	memoryShare = 50       // percent of what is in use that may become garbage, at least
	memoryOften = 12       // collections a second: more of it becomes garbage before there are more
	memoryRoom  = 64 << 20 // bytes that become garbage for that at most
	memoryLeast = 4 << 20  // bytes: the runtime takes no heap for smaller
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
	paces  int
	paced  uint64 // written at the latest pace
	now    int    // the share that was set last
	before uint64 // written at the latest check
	later  int    // checks until the second settlement; 0: none is due
}

func newSettler() *settler {
	return &settler{read: readMemory, settle: debug.FreeOSMemory, share: func(int) {}, now: memoryShare}
}

// SettleMemory keeps the process's garbage in bounds and gives memory back after bursts, until ctx ends. GOGC in the environment
// overrides its share of garbage. Run has it running.
func SettleMemory(ctx context.Context) {
	s := newSettler()
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(memoryShare))
		s.share = func(percent int) { debug.SetGCPercent(percent) }
	}
	every := time.NewTicker(memoryPace)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			s.pace()
		}
	}
}

// pace sets the share of garbage by how much was written since the latest pace: with a small heap and thousands of calls a second
// the runtime would do little else than collect, and what becomes garbage otherwise stays as holes between what is in use.
func (s *settler) pace() {
	m := s.read()
	share := garbageShare(m.live, m.written-s.paced)
	if s.paced = m.written; abs(share-s.now) > s.now/4 { // each change stops the world for a moment
		s.now = share
		s.share(share)
	}
	if s.paces++; s.paces%memoryCheck == 0 {
		s.check(m)
	}
}

func abs(n int) int { return max(n, -n) }

// check settles where at least an eighth of what is in use would be gained, for a collection looks at all of that; not during a
// burst, when the runtime collects by itself soon. What has died since the latest collection no figure tells: that is settled once.
func (s *settler) check(m memoryFigures) {
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

// garbageShare is the percent of the live bytes that may become garbage before the next collection, when written bytes are
// allocated in a second.
func garbageShare(live, written uint64) int {
	return max(memoryShare, int(100*min(written/memoryOften, memoryRoom)/max(live, memoryLeast)))
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
