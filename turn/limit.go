package turn

import (
	"sync/atomic"
	"time"
)

// limit bounds a rate of bytes without a lock, for media workers ask it packet by packet: the generic cell rate algorithm. The zero
// value lets everything pass.
type limit struct {
	kbit  int64 // a second; 0: any
	burst int64 // ns of the rate that may come at once
	full  atomic.Int64
}

// set bounds the rate to kbit/s, of which a quarter of a second, and at least two large packets, may come at once.
func (l *limit) set(kbit int) {
	l.kbit = int64(kbit)
	if kbit > 0 {
		l.burst = max(int64(time.Second)/4, l.cost(4096))
	}
}

func (l *limit) cost(size int) int64 { return int64(size) * 8_000_000 / l.kbit }

// allow takes size bytes at a time in ns, which only grows; false where they are too many.
func (l *limit) allow(now int64, size int) bool {
	if l.kbit == 0 {
		return true
	}
	cost := l.cost(size)
	for {
		full := l.full.Load()
		next := max(full, now) + cost
		if next-now > l.burst {
			return false
		}
		if l.full.CompareAndSwap(full, next) {
			return true
		}
	}
}
