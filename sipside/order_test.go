package sipside

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// someone makes a pool's candidates by chance, of which each third is dead or rests.
func someone(r *rand.Rand) []candidate {
	list := make([]candidate, 1+r.IntN(8))
	for i := range list {
		list[i] = candidate{
			name: fmt.Sprintf("pbx/10.0.0.%d:5060", 10+i), weight: 1 + r.IntN(5), priority: r.IntN(3), calls: r.IntN(20),
			latency: time.Duration(r.IntN(40)) * time.Millisecond, share: 1,
		}
		if r.IntN(3) == 0 {
			list[i].standing = health(1 + r.IntN(2))
		}
	}
	return list
}

// alike are n fit candidates with these weights.
func alike(weights ...int) []candidate {
	list := make([]candidate, len(weights))
	for i, w := range weights {
		list[i] = candidate{name: fmt.Sprintf("pbx/10.0.0.%d:5060", 10+i), weight: w, share: 1}
	}
	return list
}

func by(kind string, list []candidate, request int) []int {
	key := fmt.Sprintf("sip:user%d@example.com", request)
	return order(kind, list, lot{key: key, turn: uint64(request), seed: fmt.Sprint(request)}, rotation)
}

// Every order lists each member once, the fit before the resting before the dead, and says the same of the same.
func TestOrdersListEachMemberOnceTheFitFirst(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range Orders() {
		for request := range 3000 {
			list := someone(r)
			got := by(kind, list, request)
			if sorted := slices.Sorted(slices.Values(got)); len(got) != len(list) || len(slices.Compact(sorted)) != len(list) {
				t.Fatalf("%s of %d members: %v", kind, len(list), got)
			}
			if !slices.IsSortedFunc(got, func(a, b int) int { return int(list[a].standing) - int(list[b].standing) }) {
				t.Fatalf("%s: %v with %+v", kind, got, list)
			}
			if again := by(kind, list, request); !slices.Equal(got, again) {
				t.Fatalf("%s is not pure: %v, then %v", kind, got, again)
			}
		}
	}
}

// shares counts who comes first in n requests.
func shares(kind string, list []candidate, n int) []float64 {
	counts := make([]float64, len(list))
	for request := range n {
		counts[by(kind, list, request)[0]] += 1 / float64(n)
	}
	return counts
}

func TestOrdersShareByWeightWithinBounds(t *testing.T) {
	t.Parallel()
	weighted, dead3 := alike(1, 2, 5), alike(1, 2, 5)
	dead3[2].standing = dead
	for _, test := range []struct {
		kind string
		list []candidate
		want []float64
		off  float64
	}{
		{RoundRobin, weighted, []float64{1. / 3, 1. / 3, 1. / 3}, 0.001},
		{RoundRobin, dead3, []float64{1. / 2, 1. / 2, 0}, 0.001},
		{Weighted, weighted, []float64{1. / 8, 2. / 8, 5. / 8}, 0.001},
		{Weighted, dead3, []float64{2. / 8, 6. / 8, 0}, 0.001}, // its turns go to who follows
		{RelativeWeight, weighted, []float64{1. / 8, 2. / 8, 5. / 8}, 0.001},
		{RelativeWeight, dead3, []float64{1. / 3, 2. / 3, 0}, 0.001},
		{Random, weighted, []float64{1. / 3, 1. / 3, 1. / 3}, 0.02},
		{Random, dead3, []float64{1. / 2, 1. / 2, 0}, 0.02},
		{WeightedRandom, weighted, []float64{1. / 8, 2. / 8, 5. / 8}, 0.02},
		{WeightedRandom, dead3, []float64{1. / 3, 2. / 3, 0}, 0.02},
		{Hash, weighted, []float64{1. / 8, 2. / 8, 5. / 8}, 0.02},
		{Hash, dead3, []float64{1. / 3, 2. / 3, 0}, 0.02},
		{Priority, weighted, []float64{1. / 3, 1. / 3, 1. / 3}, 0.001}, // all of the same
		{LeastCalls, weighted, []float64{1. / 3, 1. / 3, 1. / 3}, 0.001},
		{LowestLatency, weighted, []float64{1. / 3, 1. / 3, 1. / 3}, 0.001},
	} {
		got := shares(test.kind, test.list, 12000)
		for i := range got {
			if math.Abs(got[i]-test.want[i]) > test.off {
				t.Errorf("%s: %.3f, want %.3f", test.kind, got, test.want)
				break
			}
		}
	}
}

func TestPriorityIsActiveAndStandby(t *testing.T) {
	t.Parallel()
	list := alike(1, 1, 1)
	list[0].priority, list[1].priority, list[2].priority = 2, 1, 1
	for request := range 20 {
		if got := by(Priority, list, request); got[2] != 0 || got[0] == 0 {
			t.Fatalf("%v", got)
		}
	}
	list[1].standing, list[2].standing = dead, resting
	if got := by(Priority, list, 0); !slices.Equal(got, []int{0, 2, 1}) {
		t.Errorf("the standby does not take over: %v", got)
	}
}

// Calls that follow each other fill members in the ratio of their weights, and whoever is emptier comes first.
func TestLeastCallsLevelsOut(t *testing.T) {
	t.Parallel()
	list := alike(1, 1, 2)
	list[0].calls = 30
	for request := range 90 {
		list[by(LeastCalls, list, request)[0]].calls++
	}
	if list[0].calls != 30 || list[1].calls != 30 || list[2].calls != 60 {
		t.Errorf("%d, %d and %d calls for the weights 1, 1, 2", list[0].calls, list[1].calls, list[2].calls)
	}
}

func TestLowestLatency(t *testing.T) {
	t.Parallel()
	list := alike(1, 1, 1, 1)
	for i, ms := range []int{0, 30, 20, 22} { // the first is not measured
		list[i].latency = time.Duration(ms) * time.Millisecond
	}
	if got := shares(LowestLatency, list, 1000); got[0] != 0 || got[1] != 0 || got[2] < 0.4 || got[3] < 0.4 {
		t.Errorf("%v: the two that are near the fastest share alike", got)
	}
	if got := by(LowestLatency, list, 0); !slices.Equal(got[2:], []int{1, 0}) {
		t.Errorf("%v: the slower one, then the unknown", got)
	}
	list[2].standing, list[3].standing = dead, dead
	if got := by(LowestLatency, list, 0); got[0] != 1 {
		t.Errorf("%v: the dead ones' latency counts", got)
	}
}

// A member that comes or goes, or dies, moves the keys that are or were its own and no other.
func TestHashMovesFewKeys(t *testing.T) {
	t.Parallel()
	four, five := alike(1, 1, 1, 1), alike(1, 1, 1, 1, 1)
	broken := slices.Clone(five)
	broken[4].standing = dead
	moved := 0
	for request := range 5000 {
		with, without := by(Hash, five, request)[0], by(Hash, four, request)[0]
		if with != 4 && with != without {
			t.Fatalf("request %d went from %d to %d, though neither came nor went", request, without, with)
		}
		if with == 4 {
			moved++
		}
		if got := by(Hash, broken, request)[0]; got != without {
			t.Fatalf("request %d goes to %d when the fifth is dead, to %d when it is not there", request, got, without)
		}
	}
	if moved < 900 || moved > 1100 {
		t.Errorf("%d of 5000 keys moved to the fifth", moved)
	}
}

// Slow start: the share of a member grows from nearly nothing to the whole, by each order, and a key that came to it stays.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{RoundRobin, Weighted, RelativeWeight, Random, WeightedRandom, Hash, LeastCalls, LowestLatency} {
		for _, share := range []float64{0.05, 0.3, 0.7, 1} {
			list := alike(1, 1)
			if kind == LeastCalls {
				list[0].calls = 100 // else the turns decide
			}
			list[1].share = share
			want := share / 2
			if kind == LeastCalls {
				want = share
			}
			if got := shares(kind, list, 8000)[1]; math.Abs(got-want) > 0.03 {
				t.Errorf("%s at a share of %.2f: %.3f of the requests, want %.3f", kind, share, got, want)
			}
		}
	}
	early, late := alike(1, 1, 1), alike(1, 1, 1)
	early[1].share, late[1].share = 0.3, 0.6
	for request := range 3000 {
		if by(Hash, early, request)[0] == 1 && by(Hash, late, request)[0] != 1 {
			t.Fatalf("request %d left the member that starts", request)
		}
	}
	alone := alike(1, 1)
	alone[0].standing, alone[1].share = dead, 0.05
	for request := range 100 {
		if by(RoundRobin, alone, request)[0] != 1 {
			t.Fatal("a dead member comes before one that starts")
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	list := alike(1, 2, 3, 4, 5, 6, 7, 8)
	pool := &Pool{}
	for _, kind := range Orders() {
		b.Run(kind, func(b *testing.B) {
			for i := range b.N {
				order(kind, list, lot{key: "sip:alice@example.com", turn: uint64(i), seed: "x"}, pool.rotate)
			}
		})
	}
}
