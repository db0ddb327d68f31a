package bridge

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"
	"golang.org/x/time/rate"
)

// Quota caps the calls with one pool or trunk, both ways together. The zero value caps nothing.
type Quota struct {
	Calls     int      // at once; 0: any
	Rate      float64  // new ones a second; 0: any
	Status    int      // of a refusal: 503 with Retry-After (also 0), 480 or 486
	Emergency []string // numbers that pass, as the routes see them
}

// quota counts the calls with one pool or trunk.
type quota struct {
	cap        atomic.Pointer[quotaCap]
	running    atomic.Int64
	full, fast atomic.Uint64
}

// quotaCap is immutable but for the limiter's own state.
type quotaCap struct {
	Quota
	rate *rate.Limiter // nil: any
}

func newQuota(q Quota) *quota {
	out := &quota{}
	out.set(q)
	return out
}

// set takes another cap in the place of the present one; what runs counts on.
func (q *quota) set(to Quota) {
	if now := q.cap.Load(); now != nil && reflect.DeepEqual(now.Quota, to) {
		return
	}
	c := &quotaCap{Quota: to}
	if to.Rate > 0 {
		c.rate = rate.NewLimiter(rate.Limit(to.Rate), max(1, int(math.Ceil(to.Rate))))
	}
	q.cap.Store(c)
}

// overQuota is a call that a quota refuses.
type overQuota struct {
	status int
	why    string
}

// take lets a call in; whoever took releases once. user is who is called.
func (q *quota) take(user string) *overQuota {
	running, c := q.running.Add(1), q.cap.Load()
	if c.isEmergency(user) {
		return nil
	}
	switch {
	case c.Calls > 0 && running > int64(c.Calls):
		q.full.Add(1)
		return q.refuse("no more than " + strconv.Itoa(c.Calls) + " calls at once")
	case c.rate != nil && !c.rate.Allow():
		q.fast.Add(1)
		return q.refuse("no more than " + strconv.FormatFloat(c.Rate, 'g', -1, 64) + " new calls a second")
	}
	return nil
}

// refuse gives back what take took.
func (q *quota) refuse(why string) *overQuota {
	q.running.Add(-1)
	status := q.cap.Load().Status
	if status == 0 {
		status = 503
	}
	return &overQuota{status, why}
}

func (q *quotaCap) isEmergency(user string) bool {
	number, _, _ := strings.Cut(user, ";")
	return slices.Contains(q.Emergency, number)
}

// headers are those of the refusal: when to come again.
func (o *overQuota) headers() []sip.Header {
	if o.status != 503 {
		return nil
	}
	return []sip.Header{retryAfter()}
}

// quotaOf is that of a backend's pool or trunk; nil for browsers.
func (b *Bridge) quotaOf(backend string) *quota {
	if backend == "" {
		return nil
	}
	return b.peers.Load().quotas[poolOf(backend)]
}

// takeQuota counts a leg as a call with its backend's pool or trunk, until the leg is gone.
func (l *leg) takeQuota(user string) *overQuota {
	q := l.call.bridge.quotaOf(l.backend)
	if q == nil {
		return nil
	}
	if over := q.take(user); over != nil {
		return over
	}
	l.quota = q
	return nil
}

// keepQuota counts a leg that was let in elsewhere.
func (l *leg) keepQuota() {
	if q := l.call.bridge.quotaOf(l.backend); q != nil {
		q.running.Add(1)
		l.quota = q
	}
}

func (l *leg) releaseQuota() {
	if l.quota != nil {
		l.quota.running.Add(-1)
		l.quota = nil
	}
}

// PeerStats are the figures of one pool or trunk.
type PeerStats struct {
	Calls  int               // running
	Capped map[string]uint64 // refused new ones, by the cap: "calls", "rate"
}

func (q *quota) stats() PeerStats {
	return PeerStats{
		Calls:  int(q.running.Load()),
		Capped: map[string]uint64{"calls": q.full.Load(), "rate": q.fast.Load()},
	}
}
