package bridge

import (
	"sync"
	"time"
)

// subscriptions are those that run, found by their dialogs. Safe for concurrent use; a subscription may call it with its own lock
// held, never the other way round.
type subscriptions struct {
	b *Bridge

	mu      sync.Mutex
	dialogs map[dialogKey]seat // guarded by mu
}

// seat is where a party sits.
type seat struct {
	subscription *subscription
	party        *party
}

func newSubscriptions(b *Bridge) *subscriptions {
	return &subscriptions{b: b, dialogs: map[dialogKey]seat{}}
}

// len counts the notifiers' dialogs: each subscription has one.
func (s *subscriptions) len() (n int) {
	for _, at := range s.seats() {
		if at.party == &at.subscription.far {
			n++
		}
	}
	return n
}

func (s *subscriptions) seats() []seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]seat, 0, len(s.dialogs))
	for _, at := range s.dialogs {
		out = append(out, at)
	}
	return out
}

func (s *subscriptions) add(sub *subscription, p *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialogs[p.key()] = seat{sub, p}
}

func (s *subscriptions) remove(key dialogKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, key)
}

func (s *subscriptions) find(key dialogKey) (*subscription, *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.dialogs[key]
	return at.subscription, at.party
}

// owns says whether a request comes from where a party may send: as leg.owns does.
func (s *subscriptions) owns(p *party, in inbound) bool {
	if in.browser == nil || !p.browser() {
		return in.browser == nil && !p.browser()
	}
	if in.browser.Flow() == p.flow {
		return true
	}
	for _, binding := range s.b.with.Store.ByFlow(in.browser.Flow()) {
		if binding.AOR == p.aor {
			p.flow, p.peer = in.browser.Flow(), in.browser
			return true
		}
	}
	return false
}

// gone is a browser's connection that is lost: its subscriptions wait for it a while, and are then ended at their notifiers.
func (s *subscriptions) gone(flow string) {
	for _, at := range s.seats() {
		sub := at.subscription
		sub.mu.Lock()
		if at.party.flow == flow {
			at.party.peer = nil
			if sub.grace != nil {
				sub.grace.Stop()
			}
			sub.grace = time.AfterFunc(s.b.cfg.FlowGrace, sub.unsubscribe)
		}
		sub.mu.Unlock()
	}
}

// moved lets a user's subscriptions go on over another connection.
func (s *subscriptions) moved(aor, oldFlow, newFlow string) {
	conn := s.b.with.Browsers.Find(newFlow)
	if conn == nil {
		return
	}
	for _, at := range s.seats() {
		sub := at.subscription
		sub.mu.Lock()
		if at.party.flow == oldFlow && at.party.aor == aor {
			at.party.flow, at.party.peer = newFlow, conn
			if sub.grace != nil {
				sub.grace.Stop()
			}
		}
		sub.mu.Unlock()
	}
}

// close ends all at their notifiers.
func (s *subscriptions) close() {
	for _, at := range s.seats() {
		if at.party == &at.subscription.far {
			at.subscription.unsubscribe()
		}
	}
	for _, at := range s.seats() {
		at.subscription.end()
	}
}
