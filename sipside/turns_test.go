package sipside

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/quick"
)

func TestRotationSharesByWeight(t *testing.T) {
	for _, c := range []struct{ weights, cycle []int }{
		{[]int{1, 1, 1}, []int{0, 1, 2}},
		{[]int{50, 50}, []int{0, 1}},
		{[]int{2, 1}, []int{0, 1, 0}},
		{[]int{0, 3}, []int{1}},
		{[]int{0, 0}, nil},
	} {
		if got := rotation(c.weights); !slices.Equal(got, c.cycle) {
			t.Errorf("rotation(%v) = %v, want %v", c.weights, got, c.cycle)
		}
	}
	property := func(a, b, c uint8) bool {
		weights := []int{int(a) % 101, int(b) % 101, int(c)%100 + 1}
		counts := make([]int, 3)
		for _, member := range rotation(weights) {
			counts[member]++
		}
		for i := range weights {
			if counts[i]*weights[2] != counts[2]*weights[i] {
				return false
			}
		}
		return true
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestFromTurnListsEachOnce(t *testing.T) {
	property := func(turn uint64, a, b uint8) bool {
		cycle := rotation([]int{int(a)%9 + 1, int(b)%9 + 1, 1})
		order := fromTurn(cycle, turn)
		return order[0] == cycle[turn%uint64(len(cycle))] && len(order) == 3 && len(slices.Compact(slices.Sorted(slices.Values(order)))) == 3
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func members(n int) (names []string, weights []int) {
	for i := range n {
		names = append(names, fmt.Sprintf("pbx/10.0.0.%d:5060", 10+i))
		weights = append(weights, 1)
	}
	return names, weights
}

func TestRendezvousShares(t *testing.T) {
	names, weights := members(4)
	weights[2] = 3
	const keys = 20000
	counts := make([]int, 4)
	for k := range keys {
		counts[rendezvous(fmt.Sprintf("sip:user%d@example.com", k), names, weights)[0]]++
	}
	for i, n := range counts {
		want := keys * float64(weights[i]) / 6
		if math.Abs(float64(n)-want) > 0.06*want {
			t.Errorf("member %d of weight %d got %d keys, want about %.0f", i, weights[i], n, want)
		}
	}
}

func TestRendezvousMovesOnlyKeysOfTheChangedMember(t *testing.T) {
	names, weights := members(5)
	for k := range 5000 {
		key := fmt.Sprintf("sip:user%d@example.com", k)
		with := rendezvous(key, names, weights)
		without := rendezvous(key, names[:4], weights[:4])
		if with[0] != 4 && with[0] != without[0] {
			t.Fatalf("%s moved from %s to %s though neither came nor went", key, names[with[0]], names[without[0]])
		}
		if with[0] == 4 && with[1] != without[0] {
			t.Fatalf("%s: the second choice %s is not who takes over (%s)", key, names[with[1]], names[without[0]])
		}
	}
}

func TestRendezvousDoesNotDependOnTheConfigurationsOrder(t *testing.T) {
	names, weights := members(4)
	reversed := slices.Clone(names)
	slices.Reverse(reversed)
	for k := range 500 {
		key := fmt.Sprintf("sip:user%d@example.com", k)
		if a, b := names[rendezvous(key, names, weights)[0]], reversed[rendezvous(key, reversed, weights)[0]]; a != b {
			t.Fatalf("%s: %s in one order, %s in the other", key, a, b)
		}
	}
}
