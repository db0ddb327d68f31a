package load

import "time"

const (
	bucket  = 2 * time.Microsecond
	buckets = 1 << 18 // 524 ms; what is longer counts as that
)

// Histogram counts durations with a resolution of 2 µs.
type Histogram struct {
	counts [buckets]uint32
	total  uint64
}

func (h *Histogram) add(d time.Duration) {
	h.counts[min(max(d/bucket, 0), buckets-1)]++
	h.total++
}

// Quantile is the duration below which the share q lies; 0 of nothing.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		seen += uint64(n)
		if seen > rank {
			return time.Duration(i)*bucket + bucket/2
		}
	}
	return 0
}
