package guard

import (
	"sync/atomic"
	"time"
)

// Limit is a rate that bursts may exceed.
type Limit struct {
	Rate  float64 // a second; 0: no limit
	Burst int     // at once, after a rest; at least 1
}

// take counts one more in a key's bucket of a table. now is in nanoseconds.
func (l Limit) take(in *slots, key uint64, now int64) bool {
	return l.Rate == 0 || l.fill(in.claim(key), now)
}

// fill counts one more in a bucket, which holds when the debt of all before is paid (GCRA, ITU-T I.371); false where it would be
// beyond the burst.
func (l Limit) fill(bucket *atomic.Int64, now int64) bool {
	each := int64(float64(time.Second) / l.Rate)
	most := each * int64(max(l.Burst, 1)-1)
	for {
		before := bucket.Load()
		paid := max(before, now)
		if paid-now > most {
			return false
		}
		if bucket.CompareAndSwap(before, paid+each) {
			return true
		}
	}
}
