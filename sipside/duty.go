package sipside

import (
	"sync"
	"time"
)

// duty says who reads a UDP socket. To wake another goroutine for each message costs more than most messages, so the reader lends its
// own to their calls. A call may wait for something (a disk, a lock): then another reader takes the messages behind it,
// and the one that waits reads no more.
type duty struct {
	mu sync.Mutex
	// guarded by mu
	turn  int    // whose it is
	in    *inbox // the batch at hand
	next  int    // message of it
	count int    // messages in it; 0: the reader waits for more
	at    spot
	seen  spot // by the last look

	// of the reader whose turn it is
	pace pacer
	load load
}

// spot tells messages apart.
type spot struct{ batch, message int }

// lookEvery is how often a reader that lends itself is looked at. One that is seen at the same message twice is relieved.
const lookEvery = 3 * time.Millisecond

// begin is called with each new batch and says whether the reader lends itself to its calls.
func (d *duty) begin(in *inbox, count int, now time.Time) (lends bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in, d.next, d.count = in, 0, count
	d.at = spot{batch: d.at.batch + 1}
	return count < max(batchSize, 2) && d.load.light(now)
}

// take gives the next message of the batch. None: there is no more, or the turn is another's.
func (d *duty) take(turn int) (in *inbox, message int, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn != turn {
		return nil, 0, false
	}
	if d.next == d.count {
		d.in, d.next, d.count = nil, 0, 0
		return nil, 0, true
	}
	d.next++
	d.at.message = d.next
	return d.in, d.next - 1, true
}

// look relieves a reader that is kept by a call, and says whether the one whose turn it is has to be looked at again.
func (d *duty) look() (relief int, relieved, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.count == 0:
		return 0, false, false
	case d.seen != d.at:
		d.seen = d.at
		return 0, false, true
	}
	d.turn++
	d.at.batch++ // whoever relieves has not begun
	return d.turn, true, false
}

// kept is called by whoever relieves a reader.
func (d *duty) kept(now time.Time) { d.load.heavy = now.Add(keptFor) }

const (
	loadWindow = 32 * time.Millisecond
	loadShare  = 75                     // percent of it that a reader works calls off alone
	loadFor    = 500 * time.Millisecond // so long others do after that: one goroutine would use one processor
	keptFor    = 100 * time.Millisecond // and after a call kept its reader
)

// load is what a reader has to do.
type load struct {
	window time.Time     // when it began
	work   time.Duration // in it
	heavy  time.Time     // until then
}

// light says whether the reader has the time for calls.
func (l *load) light(now time.Time) bool { return now.After(l.heavy) }

// worked counts what the reader did for calls.
func (l *load) worked(d time.Duration) { l.work += d }

// until ends a window.
func (l *load) until(now time.Time) {
	span := now.Sub(l.window)
	if span < loadWindow {
		return
	}
	if l.work*100 > span*loadShare {
		l.heavy = now.Add(loadFor)
	}
	l.window, l.work = now, 0
}
