package media

import "sync/atomic"

// queue is a lock-free list for many producers and one consumer: signalling never makes a worker wait.
type queue[T any] struct{ head atomic.Pointer[node[T]] }

type node[T any] struct {
	value T
	next  *node[T]
}

// push reports whether the queue was empty, so whether its consumer has to be told.
func (q *queue[T]) push(v T) bool {
	n := &node[T]{value: v}
	for {
		head := q.head.Load()
		n.next = head // the consumer's from the moment of the swap
		if q.head.CompareAndSwap(head, n) {
			return head == nil
		}
	}
}

// take empties the queue and gives its values, oldest first.
func (q *queue[T]) take() *node[T] {
	if q.head.Load() == nil {
		return nil
	}
	var first *node[T]
	for n := q.head.Swap(nil); n != nil; {
		next := n.next
		n.next, first = first, n
		n = next
	}
	return first
}

// command is what signalling wants done to a leg, by the worker that owns it.
type command func(w *worker, l *Leg)

// place is where a leg lives: the worker's number, and whether the leg is still on its way there.
type place uint32

const inTransit place = 1 << 31

func (p place) worker() int      { return int(p &^ inTransit) }
func (p place) travelling() bool { return p&inTransit != 0 }

// do has the owning worker run c. Commands to one leg run in the order of do, whatever moves in between.
func (l *Leg) do(c command) {
	if l.commands.push(c) {
		l.engine.workers[l.home().worker()].deliver(posted{leg: l})
	}
}

// order is do for signalling, which holds no lock: it stands in for a worker that rests.
func (l *Leg) order(c command) {
	if l.commands.push(c) {
		w := l.engine.workers[l.home().worker()]
		w.mailbox.push(posted{leg: l})
		w.standIn()
	}
}

func (l *Leg) home() place { return place(l.place.Load()) }

// posted is what a worker is to do: f, or a leg's commands.
type posted struct {
	leg *Leg
	f   func(*worker)
}

// post has the worker run f between two batches. Safe from any goroutine, never blocks.
func (w *worker) post(f func(*worker)) { w.deliver(posted{f: f}) }

func (w *worker) deliver(p posted) {
	w.mailbox.push(p)
	w.wake()
}

// wake ends the worker's sleep where it sleeps.
func (w *worker) wake() {
	if w.asleep.CompareAndSwap(true, false) {
		w.poller.signal()
	}
}

// serve runs a leg's commands; where the leg has moved on, its new worker is told instead.
func (w *worker) serve(l *Leg) {
	p := l.home()
	if p.worker() != w.id {
		w.engine.workers[p.worker()].deliver(posted{leg: l})
		return
	}
	if p.travelling() {
		return // adopt will serve it
	}
	for {
		if l.pending == nil {
			if l.pending = l.commands.take(); l.pending == nil {
				return
			}
		}
		c := l.pending.value
		l.pending = l.pending.next
		w.attempt(l, c)
		if !w.owns(l) {
			return // it moved away, and what is pending went along
		}
	}
}

// drainMailbox runs what was posted.
func (w *worker) drainMailbox() {
	for n := w.mailbox.take(); n != nil; n = n.next {
		w.runPosted(n.value)
	}
}

func (w *worker) runPosted(p posted) {
	defer w.contain()
	if p.leg != nil {
		w.serve(p.leg)
		return
	}
	p.f(w)
}

func (w *worker) owns(l *Leg) bool { return l.home() == place(w.id) }

// attempt runs one command and keeps a panic to its leg.
func (w *worker) attempt(l *Leg, c command) {
	w.current = l
	defer w.contain()
	c(w, l)
	w.current = nil
}
