package load

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	h := &Histogram{}
	if q := h.Quantile(0.5); q != 0 {
		t.Errorf("of nothing: %v", q)
	}
	for i := range 1000 {
		h.add(time.Duration(i) * time.Millisecond / 10)
	}
	h.add(-time.Microsecond) // a clock that was set back
	h.add(time.Hour)
	for q, want := range map[float64]time.Duration{0: 0, 0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 0.9995: buckets * bucket} {
		if got := h.Quantile(q); (got - want).Abs() > 200*time.Microsecond {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}
