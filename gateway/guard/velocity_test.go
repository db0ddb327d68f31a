package guard

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever is spent and whenever, a window holds all that was spent within its span, and nothing older than its span and a part.
func TestWindowHoldsItsSpan(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		span := time.Duration(1+r.IntN(48)) * time.Hour
		var w window
		var spent []part
		now := time.Unix(1e9, 0)
		for range 300 {
			now = now.Add(time.Duration(r.Int64N(int64(span / 20))))
			p := part{now, time.Duration(r.IntN(300)) * time.Second, r.IntN(3)}
			w.spend(now, span, p.talked, p.calls)
			spent = append(spent, p)
			var least, most part
			for _, p := range spent {
				age := now.Sub(p.began)
				if age <= span {
					least.talked, least.calls = least.talked+p.talked, least.calls+p.calls
				}
				if age <= span+span/granules {
					most.talked, most.calls = most.talked+p.talked, most.calls+p.calls
				}
			}
			talked, calls := w.spent(now, span)
			if talked < least.talked || talked > most.talked || calls < least.calls || calls > most.calls {
				t.Fatalf("span %v: %v %d, not within %+v and %+v", span, talked, calls, least, most)
			}
			if len(w.parts) > granules+2 {
				t.Fatalf("%d parts", len(w.parts))
			}
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		budget Budget
		talked time.Duration
		calls  int
		over   bool
	}{
		{Budget{}, time.Hour, 100, false},
		{Budget{Talked: time.Minute}, time.Minute - 1, 100, false},
		{Budget{Talked: time.Minute}, time.Minute, 0, true},
		{Budget{Calls: 2}, time.Hour, 2, false},
		{Budget{Calls: 2}, 0, 3, true},
		{Budget{Talked: time.Hour, Calls: 2}, time.Minute, 3, true},
	} {
		if got := c.budget.over(c.talked, c.calls); got != c.over {
			t.Errorf("%+v", c)
		}
	}
}
