package sipside

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// testPool has n members at which nobody is.
func testPool(order string, n int) *Pool {
	pool := &Pool{name: "pbx", order: order}
	e := &Endpoints{log: slog.New(slog.DiscardHandler)}
	for i := range n {
		b := newBackend(e, "pbx", fmt.Sprintf("pbx/%d", i), sip.Uri{Scheme: "sip", Host: "127.0.0.1"})
		b.settings.Store(&settings{weight: 1, probe: Probe{}.withDefaults()})
		pool.members = append(pool.members, b)
	}
	return pool
}

func TestPoolOrder(t *testing.T) {
	t.Parallel()
	pool := testPool(RoundRobin, 3)
	first := func(n int, order func() []*Backend) map[*Backend]int {
		counts := map[*Backend]int{}
		for range n {
			got := order()
			if len(got) != 3 {
				t.Fatalf("%d members in the order", len(got))
			}
			counts[got[0]]++
		}
		return counts
	}
	turn := func() []*Backend { return pool.Order(nil) }
	alice := func() []*Backend { return pool.Home("sip:alice@example.com") }
	for b, n := range first(9, turn) {
		if n != 3 {
			t.Errorf("%s was first %d times of 9", b.name, n)
		}
	}
	home := alice()[0]
	if n := first(5, alice)[home]; n != 5 {
		t.Errorf("a key's member was first %d times of 5", n)
	}
	home.down.Store(true)
	counts := first(10, turn)
	if len(counts) != 2 || counts[home] != 0 {
		t.Errorf("with one dead: %v", counts)
	}
	for b, n := range counts {
		if n != 5 {
			t.Errorf("%s was first %d times of 10: the dead member's turns were not shared", b.name, n)
		}
	}
	if order := alice(); order[0] == home || order[2] != home {
		t.Error("a dead member is not the last resort")
	}
	for _, b := range pool.members {
		b.down.Store(true)
	}
	if order := turn(); len(order) != 3 {
		t.Errorf("%d members when all are dead", len(order))
	}
}

// What is drained is not even a last resort.
func TestPoolLeavesDrainedMembersOut(t *testing.T) {
	t.Parallel()
	for _, kind := range Orders() {
		pool := testPool(kind, 3)
		pool.members[1].Drain(true)
		for _, b := range append(pool.Order(nil), pool.Home("sip:alice@example.com")...) {
			if b == pool.members[1] {
				t.Errorf("%s: a drained member gets a request", kind)
			}
		}
		pool.members[1].Drain(false)
		if len(pool.Order(nil)) != 3 {
			t.Errorf("%s: it does not come back", kind)
		}
		for _, b := range pool.members {
			b.Drain(true)
		}
		if order := pool.Order(nil); len(order) != 0 {
			t.Errorf("%s: all are drained, and %d get the request", kind, len(order))
		}
	}
}

// The home of users is among the active members, so that REGISTER and calls do not go to the standby.
func TestPriorityPoolsHomeIsActive(t *testing.T) {
	t.Parallel()
	pool := testPool(Priority, 3)
	pool.members[0].settings.Store(&settings{weight: 1, priority: 1, probe: Probe{}.withDefaults()})
	homes := map[*Backend]int{}
	for user := range 300 {
		homes[pool.Home(fmt.Sprintf("sip:user%d@example.com", user))[0]]++
	}
	if homes[pool.members[0]] != 0 || homes[pool.members[1]] < 100 || homes[pool.members[2]] < 100 {
		t.Errorf("homes: %v", homes)
	}
	pool.members[1].down.Store(true)
	pool.members[2].rest(time.Minute, "test")
	if home := pool.Home("sip:alice@example.com")[0]; home != pool.members[0] {
		t.Errorf("the standby does not take over, but %s", home.name)
	}
}

// Each key of the hash decides, and nothing else of the request does.
func TestHashKeys(t *testing.T) {
	t.Parallel()
	for _, by := range HashKeys() {
		pool := testPool(Hash, 5)
		pool.hashBy = by
		varied, kept := map[*Backend]bool{}, map[*Backend]bool{}
		for i := range 100 {
			one := func(asked string) string {
				if asked == by {
					return fmt.Sprint(i)
				}
				return asked
			}
			others := func(asked string) string {
				if asked == by {
					return "alice"
				}
				return fmt.Sprint(i)
			}
			varied[pool.Order(one)[0]], kept[pool.Order(others)[0]] = true, true
		}
		if len(varied) != 5 || len(kept) != 1 {
			t.Errorf("%s: its values reach %d of 5 members, one value %d", by, len(varied), len(kept))
		}
	}
}
