package bridge

import (
	"runtime/metrics"
	"sync"
	"time"
)

const (
	overloadWindow = 100 * time.Millisecond
	overloadDelay  = 20 * time.Millisecond // a tenth of all goroutines that could run waited longer: no processor is left
	overloadAfter  = 3                     // windows in a row; a shorter burst is worked off
	overloadLeast  = 5                     // new calls in a window that are let in whatever the load: fifty a second
	overloadCalm   = 20                    // windows without delay or refusal after which nothing is limited any more
)

// overload refuses new calls while the process has more to do than processors to do it. What it judges by is how long
// goroutines wait for a processor, which the doors, the calls, the handshakes and the packet workers have in common. It limits
// the rate of new calls: less by a third in each window of delay, more by a tenth in each without (RFC 6357 §5.3). It looks only
// when calls come, so an idle gateway spends nothing on it.
type overload struct {
	// static after construction
	delay func() (waited time.Duration, known bool) // since it was last asked

	// guarded by mu
	mu       sync.Mutex
	began    time.Time // of the window
	admitted int       // in it
	refused  int       // in it
	delayed  int       // windows in a row
	calm     int       // windows in a row
	limit    int       // new calls in a window; 0: none
}

func newOverload() *overload {
	m := newSchedulerDelay()
	return &overload{delay: m.since}
}

// admit says whether a new call may come in now.
func (o *overload) admit(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if span := now.Sub(o.began); span >= overloadWindow {
		o.judge(span)
		o.began, o.admitted, o.refused = now, 0, 0
	}
	if o.limit > 0 && o.admitted >= o.limit {
		o.refused++
		return false
	}
	o.admitted++
	return true
}

// judge looks at the window that is over.
func (o *overload) judge(span time.Duration) {
	waited, known := o.delay()
	if span > overloadCalm*overloadWindow || !known {
		o.delayed, o.limit = 0, 0 // hardly anything went on
		return
	}
	if waited > overloadDelay {
		o.calm = 0
		if o.delayed++; o.delayed >= overloadAfter {
			rate := int(int64(o.admitted) * int64(overloadWindow) / int64(span))
			if o.limit > 0 {
				rate = min(rate, o.limit)
			}
			o.limit = max(overloadLeast, rate*2/3)
		}
		return
	}
	o.delayed = 0
	if o.limit == 0 {
		return
	}
	o.limit += max(1, o.limit/10)
	if o.calm++; o.refused > 0 {
		o.calm = 0
	}
	if o.calm >= overloadCalm {
		o.limit = 0
	}
}

const (
	schedulerLatencies = "/sched/latencies:seconds"
	delayShare         = 10 // judged by the tenth that waited longest
	delayLeast         = 20 // fewer goroutines than that say nothing
)

// schedulerDelay reads the runtime's histogram of how long goroutines waited for a processor.
type schedulerDelay struct {
	sample []metrics.Sample
	before []uint64
}

func newSchedulerDelay() *schedulerDelay {
	return &schedulerDelay{sample: []metrics.Sample{{Name: schedulerLatencies}}}
}

// since is the wait that nine tenths did not exceed since the last call; unknown where too few waited at all.
func (s *schedulerDelay) since() (time.Duration, bool) {
	metrics.Read(s.sample)
	if s.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, false
	}
	h := s.sample[0].Value.Float64Histogram()
	if s.before == nil {
		s.before = make([]uint64, len(h.Counts))
	}
	var total uint64
	for i, n := range h.Counts {
		total += n - s.before[i]
	}
	waited, rest := 0.0, total/delayShare
	for i := len(h.Counts) - 1; i >= 0; i-- {
		n := h.Counts[i] - s.before[i]
		if n > rest {
			waited = h.Buckets[i]
			break
		}
		rest -= n
	}
	copy(s.before, h.Counts)
	return time.Duration(max(waited, 0) * float64(time.Second)), total >= delayLeast
}
