package sipside

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// names caches the servers of targets (RFC 3263) for as long as their records' TTL. A stale answer is served while a new one is fetched, so that a slow or dead name
// server does not cut a backend off.
type names struct {
	// static after construction
	resolver Resolver
	servers  nameServers
	usable   func(netip.Addr) bool // a family that some listener can reach
	timeout  time.Duration
	ttl      time.Duration // where no record says one
	spawn    func(func()) bool
	ctx      context.Context // ends with the endpoints

	mu    sync.Mutex
	known map[target]*answer // guarded by mu; at most maxNames
}

// answer is one name's state; ready is closed once the first look-up is over.
type answer struct {
	ready chan struct{}
	// guarded by names.mu
	places   []place
	err      error
	expires  time.Time
	fetching bool
}

const maxNames = 1024

// cached gives the servers, in the order for one request, if they are known already; it starts a look-up where they are not or are old.
func (n *names) cached(t target) ([]place, bool) {
	a := n.find(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	return drawn(a.places), len(a.places) > 0
}

// wait gives the servers of a target, waiting for a look-up where needed. It never gives an empty list without error.
func (n *names) wait(t target) ([]place, error) {
	a := n.find(t)
	select {
	case <-a.ready:
	case <-n.ctx.Done():
		return nil, n.ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(a.places) == 0 {
		return nil, fmt.Errorf("look up %s: %w", t.host, a.err)
	}
	return drawn(a.places), nil
}

// find gives a name's state and sees to it that a look-up runs where one is due.
func (n *names) find(t target) *answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[t]
	if a == nil || (len(a.places) == 0 && !a.fetching && time.Now().After(a.expires)) {
		a = &answer{ready: make(chan struct{})}
		n.evict()
		n.known[t] = a
	}
	if !a.fetching && time.Now().After(a.expires) {
		a.fetching = n.spawn(func() { n.fetch(t, a) })
		if !a.fetching && a.expires.IsZero() {
			a.err, a.expires = errClosed, time.Now()
			close(a.ready)
		}
	}
	return a
}

// evict makes room for one more name. Called with mu held.
func (n *names) evict() {
	for t, a := range n.known {
		if len(n.known) < maxNames {
			return
		}
		if !a.fetching {
			delete(n.known, t)
		}
	}
}

func (n *names) fetch(t target, a *answer) {
	ctx, cancel := context.WithTimeout(n.ctx, n.timeout)
	defer cancel()
	places, ttl, err := n.locate(ctx, t)
	if ttl == 0 {
		ttl = n.ttl
	}
	if err == nil && len(places) == 0 {
		err = fmt.Errorf("no address of a family that sip.listen has")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	first := a.expires.IsZero()
	a.fetching = false
	a.err = err
	a.expires = time.Now().Add(max(min(ttl, longestTTL), min(n.ttl, shortestTTL)))
	if len(places) > 0 {
		a.places = places
	} else {
		a.expires = time.Now().Add(n.ttl / 6) // a failure is asked again sooner
	}
	if first {
		close(a.ready)
	}
}
