package bridge

import (
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/wss"
)

// subscriptions are those that run, found by their dialogs. Safe for concurrent use; a subscription may call it with its own lock
// held, never the other way round.
type subscriptions struct {
	b *Bridge

	mu      sync.Mutex
	dialogs map[dialogKey]seat            // guarded by mu, as is what follows
	flows   map[string]map[dialogKey]seat // by a browser's connection
}

// seat is where a party sits.
type seat struct {
	subscription *subscription
	party        *party
}

func newSubscriptions(b *Bridge) *subscriptions {
	return &subscriptions{b: b, dialogs: map[dialogKey]seat{}, flows: map[string]map[dialogKey]seat{}}
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

// add makes a party known, by its dialog and where it is a browser by its connection. The subscription's lock is held.
func (s *subscriptions) add(sub *subscription, p *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialogs[p.key()] = seat{sub, p}
	if p.browser() {
		if s.flows[p.flow] == nil {
			s.flows[p.flow] = map[dialogKey]seat{}
		}
		s.flows[p.flow][p.key()] = seat{sub, p}
	}
}

// remove forgets a party. The subscription's lock is held.
func (s *subscriptions) remove(p *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, p.key())
	delete(s.flows[p.flow], p.key())
	if len(s.flows[p.flow]) == 0 {
		delete(s.flows, p.flow)
	}
}

// onFlow are the parties on a connection.
func (s *subscriptions) onFlow(flow string) []seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.flows[flow]))
}

func (s *subscriptions) find(key dialogKey) (*subscription, *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.dialogs[key]
	return at.subscription, at.party
}

// owns says whether a request comes from where a party may send: as leg.owns does. The subscription's lock is held.
func (s *subscriptions) owns(sub *subscription, p *party, in inbound) bool {
	if in.browser == nil || !p.browser() {
		return in.browser == nil && !p.browser()
	}
	if in.browser.Flow() == p.flow {
		return true
	}
	for _, binding := range s.b.with.Store.ByFlow(in.browser.Flow()) {
		if binding.AOR == p.aor {
			s.move(sub, p, in.browser)
			return true
		}
	}
	return false
}

// move lets a party go on over another connection. The subscription's lock is held.
func (s *subscriptions) move(sub *subscription, p *party, to *wss.Conn) {
	s.remove(p)
	p.flow, p.peer = to.Flow(), to
	s.add(sub, p)
	if sub.grace != nil {
		sub.grace.Stop()
	}
}

// gone is a browser's connection that is lost: its subscriptions wait for it a while, and are then ended at their notifiers.
func (s *subscriptions) gone(flow string) {
	for _, at := range s.onFlow(flow) {
		sub := at.subscription
		sub.mu.Lock()
		if at.party.flow == flow && !sub.over {
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
	for _, at := range s.onFlow(oldFlow) {
		sub := at.subscription
		sub.mu.Lock()
		if at.party.flow == oldFlow && at.party.aor == aor && !sub.over {
			s.move(sub, at.party, conn)
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
