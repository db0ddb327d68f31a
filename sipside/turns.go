package sipside

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
)

// rotation is the cycle in which members with these weights take turns: each appears as often as its weight (divided by
// what the weights have in common), spread evenly. A weight of 0 leaves a member out. Pure.
func rotation(weights []int) []int {
	type turn struct {
		at     float64
		member int
	}
	common := 0
	for _, w := range weights {
		common = gcd(common, w)
	}
	var turns []turn
	for i, w := range weights {
		if w == 0 {
			continue
		}
		n := w / common
		for k := range n {
			turns = append(turns, turn{(float64(k) + 0.5) / float64(n), i})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	cycle := make([]int, len(turns))
	for i, t := range turns {
		cycle[i] = t.member
	}
	return cycle
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// fromTurn lists each member of the cycle once, beginning with the one whose turn it is. Pure.
func fromTurn(cycle []int, turn uint64) []int {
	var order []int
	for i := range cycle {
		member := cycle[(turn+uint64(i))%uint64(len(cycle))]
		if !slices.Contains(order, member) {
			order = append(order, member)
		}
	}
	return order
}

// rendezvous orders members by highest random weight for a key: each gets a share of all keys by its weight, and a
// member that comes or goes moves no key between the others. Without weights all count alike. Pure, and the same on every node.
func rendezvous(key string, members []string, weights []int) []int {
	scores := make([]float64, len(members))
	order := make([]int, len(members))
	for i, name := range members {
		order[i] = i
		weight := 1
		if weights != nil {
			weight = weights[i]
		}
		scores[i] = -float64(weight) / math.Log(unit(key, name))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if c := cmp.Compare(scores[b], scores[a]); c != 0 {
			return c
		}
		return cmp.Compare(members[a], members[b])
	})
	return order
}

// unit hashes a pair evenly into the open interval (0, 1).
func unit(key, member string) float64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write([]byte(member))
	x := h.Sum64()
	// FNV leaves the high bits of short, similar inputs alike; the finaliser of MurmurHash3 mixes them.
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return (float64(x>>11) + 0.5) / (1 << 53)
}
