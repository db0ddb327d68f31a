package guard

import "time"

// granules are the parts of a window: what is spent is forgotten a part at a time, so a window covers up to one part more.
const granules = 60

// window is what was spent in the last while: time talked, and calls answered. The zero value has nothing in it. Pure: the caller
// brings the time, which does not go back.
type window struct{ parts []part }

// part is what was spent within one granule.
type part struct {
	began  time.Time
	talked time.Duration
	calls  int
}

// spend adds to a window of a span.
func (w *window) spend(now time.Time, span, talked time.Duration, calls int) {
	w.trim(now, span)
	if n := len(w.parts); n > 0 && now.Sub(w.parts[n-1].began) < span/granules {
		w.parts[n-1].talked += talked
		w.parts[n-1].calls += calls
		return
	}
	w.parts = append(w.parts, part{now, talked, calls})
}

// spent is what a window of a span holds.
func (w *window) spent(now time.Time, span time.Duration) (talked time.Duration, calls int) {
	w.trim(now, span)
	for _, p := range w.parts {
		talked += p.talked
		calls += p.calls
	}
	return talked, calls
}

// trim forgets the parts that ended before the span.
func (w *window) trim(now time.Time, span time.Duration) {
	gone := 0
	for gone < len(w.parts) && now.Sub(w.parts[gone].began) >= span+span/granules {
		gone++
	}
	w.parts = append(w.parts[:0], w.parts[gone:]...)
}

// Budget is what may be spent within a span. 0: any.
type Budget struct {
	Talked time.Duration
	Calls  int
}

// over says whether more than the budget was spent.
func (b Budget) over(talked time.Duration, calls int) bool {
	return b.Talked > 0 && talked >= b.Talked || b.Calls > 0 && calls > b.Calls
}

// none says that it bounds nothing.
func (b Budget) none() bool { return b == Budget{} }
