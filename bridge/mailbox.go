package bridge

import "sync"

// event is one thing that reaches a call: a request, a response, a timer, a media event, a lost flow. Its name is for the log.
type event struct {
	name string
	do   func()
	lent bool // the poster's goroutine may work the call off; it has no lock, and is in no other call
}

// mailbox is the one channel by which everything reaches a call. It is unbounded, so that no door ever waits for a call; what
// a call can be sent is bounded by its transactions and timers.
type mailbox struct {
	mu     sync.Mutex
	queue  []event // guarded by mu, as is what follows
	idle   bool    // nobody takes: who posts next finds somebody
	closed bool
}

// post says whether the event was taken, for a closed mailbox takes none, and whether it is upon the poster to find a goroutine
// that takes: an idle call has none, for its stack would be more than the rest of the call's signalling.
func (m *mailbox) post(e event) (taken, start bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false, false
	}
	m.queue = append(m.queue, e)
	start, m.idle = m.idle, false
	return true, start
}

// take gives all that are there, in order. None: the mailbox is idle, and whoever took takes no more.
func (m *mailbox) take() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	batch := m.queue
	m.queue, m.idle = nil, len(batch) == 0
	return batch
}

// close takes no more events and gives those that nobody took. Safe to call twice.
func (m *mailbox) close() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.queue
	m.queue, m.closed = nil, true
	return rest
}
