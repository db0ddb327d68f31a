package transaction

import (
	"sync"
	"time"
)

// wait is the same time limit of many machines. Its ends come in the order of its beginnings, so one timer of the runtime serves all,
// and wakes the process once in a grain, not for each of them: who ends among many may end so much later.
type wait struct {
	// static after construction
	length, grain time.Duration

	mu sync.Mutex
	// guarded by mu
	queue   []waiting // from head on the first ends next
	head    int
	gone    uint64 // how many ever left the queue
	timer   *time.Timer
	running bool // the timer
}

// waiting is a machine's timer; the generation of its slot tells whether it still runs.
type waiting struct {
	core  *core // nil: stopped
	timer input
	gen   uint32
	end   time.Time
}

const waitKept = 256 // places that an empty queue keeps

// add starts a machine's timer; the number is for stop. Called with the machine's mu held, as stop is.
func (w *wait) add(c *core, timer input, gen uint32) (number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == cap(w.queue) && w.head > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, waiting{core: c, timer: timer, gen: gen, end: time.Now().Add(w.length)})
	if !w.running {
		w.start(w.length)
	}
	return w.gone + uint64(len(w.queue)-w.head) - 1
}

// stop lets go of a machine. The runtime's timer goes on: it would be started again soon.
func (w *wait) stop(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number < w.gone {
		return
	}
	w.queue[w.head+int(number-w.gone)].core = nil
	for w.head < len(w.queue) && w.queue[w.head].core == nil {
		w.drop()
	}
}

// drop takes the first off the queue. Called with mu held.
func (w *wait) drop() {
	w.queue[w.head] = waiting{}
	w.head++
	w.gone++
	switch {
	case w.head < len(w.queue):
	case cap(w.queue) > waitKept:
		w.queue, w.head = nil, 0
	default:
		w.queue, w.head = w.queue[:0], 0
	}
}

// start is called with mu held.
func (w *wait) start(d time.Duration) {
	w.running = true
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.fire)
		return
	}
	w.timer.Reset(d)
}

// fire ends all whose time is over.
func (w *wait) fire() {
	now := time.Now()
	for o := w.over(now); o.core != nil; o = w.over(now) {
		o.core.mu.Lock()
		if o.core.slot(o.timer).gen != o.gen {
			o.core.mu.Unlock()
			continue
		}
		o.core.machine.timeout(o.timer)
	}
}

// over takes the next whose time is over off the queue; where there is none it sets the timer for those who are left.
func (w *wait) over(now time.Time) waiting {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head < len(w.queue) {
		first := w.queue[w.head]
		if first.core != nil && first.end.After(now) {
			w.start(max(first.end.Sub(now), w.grain))
			return waiting{}
		}
		if w.drop(); first.core != nil {
			return first
		}
	}
	w.running = false
	return waiting{}
}
