package sipside

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// names caches A and AAAA look-ups. A stale answer is served while a new one is fetched, so that a slow or dead name
// server does not cut a backend off.
type names struct {
	// static after construction
	resolver Resolver
	usable   func(netip.Addr) bool // a family that some listener can reach
	timeout  time.Duration
	ttl      time.Duration
	spawn    func(func()) bool
	ctx      context.Context // ends with the endpoints

	mu    sync.Mutex
	known map[string]*answer // guarded by mu; at most maxNames
}

// answer is one name's state; ready is closed once the first look-up is over.
type answer struct {
	ready chan struct{}
	// guarded by names.mu
	addrs    []netip.Addr
	err      error
	expires  time.Time
	fetching bool
}

const maxNames = 1024

// cached gives the addresses if they are known already; it starts a look-up where they are not or are old.
func (n *names) cached(host string) ([]netip.Addr, bool) {
	a := n.find(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	return a.addrs, len(a.addrs) > 0
}

// wait gives the addresses of a name, waiting for a look-up where needed. It never gives an empty list without error.
func (n *names) wait(host string) ([]netip.Addr, error) {
	a := n.find(host)
	select {
	case <-a.ready:
	case <-n.ctx.Done():
		return nil, n.ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(a.addrs) == 0 {
		return nil, fmt.Errorf("look up %s: %w", host, a.err)
	}
	return a.addrs, nil
}

// find gives a name's state and sees to it that a look-up runs where one is due.
func (n *names) find(host string) *answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[host]
	if a == nil || (len(a.addrs) == 0 && !a.fetching && time.Now().After(a.expires)) {
		a = &answer{ready: make(chan struct{})}
		n.evict()
		n.known[host] = a
	}
	if !a.fetching && time.Now().After(a.expires) {
		a.fetching = n.spawn(func() { n.fetch(host, a) })
		if !a.fetching && a.expires.IsZero() {
			a.err, a.expires = errClosed, time.Now()
			close(a.ready)
		}
	}
	return a
}

// evict makes room for one more name. Called with mu held.
func (n *names) evict() {
	for host, a := range n.known {
		if len(n.known) < maxNames {
			return
		}
		if !a.fetching {
			delete(n.known, host)
		}
	}
}

func (n *names) fetch(host string, a *answer) {
	ctx, cancel := context.WithTimeout(n.ctx, n.timeout)
	defer cancel()
	found, err := n.resolver.LookupNetIP(ctx, "ip", host)
	var addrs []netip.Addr
	for _, addr := range found {
		if addr = addr.Unmap(); n.usable(addr) {
			addrs = append(addrs, addr)
		}
	}
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("no address of a family that sip.listen has")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	first := a.expires.IsZero()
	a.fetching = false
	a.err = err
	a.expires = time.Now().Add(n.ttl)
	if len(addrs) > 0 {
		a.addrs = addrs
	} else {
		a.expires = time.Now().Add(n.ttl / 6) // a failure is asked again sooner
	}
	if first {
		close(a.ready)
	}
}
