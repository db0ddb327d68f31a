package turn

import (
	"net/netip"
	"sync"
	"time"
)

// Quota bounds what clients can use. 0 stands for the default.
type Quota struct {
	User           int           // allocations of one user at a time; default 60
	Total          int           // allocations at a time; default 5000
	Rate           int           // allocations of one source (IPv4 address, IPv6 /64) in a minute; default 300
	Bandwidth      int           // kbit/s of one allocation in each direction; default 8000
	TotalBandwidth int           // kbit/s of all allocations together in each direction; default: no limit
	Lifetime       time.Duration // of an allocation, however often it is refreshed; default 24 h
}

func (q Quota) withDefaults() Quota {
	set := func(to *int, value int) {
		if *to == 0 {
			*to = value
		}
	}
	set(&q.User, 60)
	set(&q.Total, 5000)
	set(&q.Rate, 300)
	set(&q.Bandwidth, 8000)
	if q.Lifetime == 0 {
		q.Lifetime = 24 * time.Hour
	}
	return q
}

// ledger counts allocations against the quota. Safe for concurrent use.
type ledger struct {
	quota Quota
	now   func() time.Time

	mu     sync.Mutex // guards what follows
	total  int
	users  map[string]int // without zeros
	minute time.Time      // since when recent counts
	recent map[netip.Prefix]int
}

func newLedger(q Quota, now func() time.Time) *ledger {
	return &ledger{quota: q, now: now, users: make(map[string]int), recent: make(map[netip.Prefix]int)}
}

// ask says why a user at a source gets no further allocation now; "" where one is free. The attempt counts for the rate.
func (l *ledger) ask(user string, source netip.Addr) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.minute) >= time.Minute {
		l.minute = now
		clear(l.recent)
	}
	key := sourceOf(source)
	if l.recent[key] >= l.quota.Rate {
		return RefusedRate
	}
	l.recent[key]++
	return l.full(user)
}

func (l *ledger) full(user string) string {
	switch {
	case l.total >= l.quota.Total:
		return RefusedTotal
	case l.users[user] >= l.quota.User:
		return RefusedQuota
	}
	return ""
}

// take counts an allocation in, unless another was faster after ask.
func (l *ledger) take(user string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why := l.full(user); why != "" {
		return why
	}
	l.total++
	l.users[user]++
	return ""
}

func (l *ledger) give(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.users[user]--; l.users[user] == 0 {
		delete(l.users, user)
	}
}

func (l *ledger) running() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// sourceOf is what counts as one source: a household's IPv6 network is a /64.
func sourceOf(a netip.Addr) netip.Prefix {
	a = plain(a)
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	prefix, _ := a.Prefix(bits) // bits fit the family
	return prefix
}
