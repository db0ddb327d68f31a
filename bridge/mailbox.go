package bridge

import "sync"

// event is one thing that reaches a call: a request, a response, a timer, a media event, a lost flow. Its name is for the log.
type event struct {
	name string
	do   func()
}

// mailbox is the one channel by which everything reaches a call. It is unbounded, so that no door ever waits for a call; what
// a call can be sent is bounded by its transactions and timers.
type mailbox struct {
	wake chan struct{} // capacity 1

	mu     sync.Mutex
	queue  []event // guarded by mu
	closed bool    // guarded by mu
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post says whether the event was taken; a closed mailbox takes none.
func (m *mailbox) post(e event) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.queue = append(m.queue, e)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // a wake-up is under way already
	}
	return true
}

// take waits for events and gives all that are there, in order; nil once the mailbox is closed and empty.
func (m *mailbox) take() []event {
	for {
		m.mu.Lock()
		batch, closed := m.queue, m.closed
		m.queue = nil
		m.mu.Unlock()
		if len(batch) > 0 {
			return batch
		}
		if closed {
			return nil
		}
		<-m.wake
	}
}

// close takes no more events and gives those that nobody took. Safe to call twice.
func (m *mailbox) close() []event {
	m.mu.Lock()
	rest := m.queue
	m.queue, m.closed = nil, true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return rest
}
