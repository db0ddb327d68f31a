package admission

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever calls come and go, a quota never has more of them at once than its cap, nor lets more in than its rate and one burst.
func TestQuotaHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			c := Cap{Calls: r.IntN(5), Rate: float64(r.IntN(4)) / 2}
			q, running, taken, began := NewQuota(c), 0, 0, time.Now()
			for range 400 {
				switch r.IntN(3) {
				case 0:
					time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				case 1:
					if running > 0 {
						q.Release()
						running--
					}
				default:
					spent := q.Spent()
					limit, _ := q.Take(false)
					if spent != (limit != "") {
						t.Fatalf("%+v: Spent %v, Take %q", c, spent, limit)
					}
					if limit == "" {
						running++
						taken++
					}
				}
				if c.Calls > 0 && running > c.Calls {
					t.Fatalf("%+v: %d at once", c, running)
				}
				if most := c.Rate*time.Since(began).Seconds() + float64(burst(c.Rate)) + 0.001; c.Rate > 0 && float64(taken) > most {
					t.Fatalf("%+v: %d taken of at most %f", c, taken, most)
				}
			}
			if now, _ := q.Stats(); now != running {
				t.Fatalf("%d counted, %d are", now, running)
			}
		}
	})
}

func TestQuotaAgainAndReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewQuota(Cap{Rate: 1})
		for i, c := range []struct {
			again bool
			limit string
		}{{false, ""}, {true, ""}, {false, Rate}, {true, ""}} {
			if limit, _ := q.Take(c.again); limit != c.limit {
				t.Errorf("%d: %q", i, limit)
			}
		}
		q.Set(Cap{Calls: 3})
		if limit, why := q.Take(false); limit != Calls || why != "no more than 3 calls at once" {
			t.Errorf("what ran before the reload is not counted: %q %q", limit, why)
		}
		q.Release()
		if limit, _ := q.Take(false); limit != "" {
			t.Errorf("%q although there is room", limit)
		}
		if _, refused := q.Stats(); refused[Calls] != 1 || refused[Rate] != 1 {
			t.Error(refused)
		}
	})
}
