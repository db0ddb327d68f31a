package identity

import (
	"container/list"
	"sync"
	"time"
)

// maxUsedNonces bounds the nonces whose count is kept. Only who knew a password fills it.
const maxUsedNonces = 65536

// replays sees that each count of a nonce is used once (RFC 7616 §3.4, nc). Safe for concurrent use.
type replays struct {
	limit int // static after construction
	age   time.Duration

	mu      sync.Mutex // guards what follows
	byNonce map[string]*list.Element
	order   list.List // of usedNonce, the first used first
	floor   time.Time // what was born before was forgotten: it is not known whether it was used
}

type usedNonce struct {
	nonce string
	born  time.Time
	first time.Time // use
	count uint64
}

func newReplays(limit int, age time.Duration) *replays {
	return &replays{limit: limit, age: age, byNonce: map[string]*list.Element{}}
}

// use is false for a count that is not higher than those before it. Count 0 stands for a nonce that may be used once.
func (r *replays) use(nonce string, born time.Time, count uint64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	if e, known := r.byNonce[nonce]; known {
		used := e.Value.(usedNonce)
		if count <= used.count {
			return false
		}
		used.count = count
		e.Value = used
		return true
	}
	if !born.After(r.floor) {
		return false
	}
	r.byNonce[nonce] = r.order.PushBack(usedNonce{nonce, born, now, count})
	return true
}

// sweep drops what is too old to be taken anyway, and the oldest where there are too many. The caller holds mu.
func (r *replays) sweep(now time.Time) {
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		used := e.Value.(usedNonce)
		old := now.Sub(used.first) > r.age // born before that
		if !old && r.order.Len() < r.limit {
			return
		}
		if !old && used.born.After(r.floor) {
			r.floor = used.born
		}
		delete(r.byNonce, r.order.Remove(e).(usedNonce).nonce)
	}
}
