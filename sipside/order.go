package sipside

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The orders of PoolConfig.Order: which member is tried first.
const (
	RoundRobin     = "round-robin"     // the living take turns
	Weighted       = "weighted"        // turns by weight; a dead member's turns are those of who follows it
	RelativeWeight = "relative-weight" // turns by weight among the living, whose shares grow alike when one dies
	Random         = "random"          //
	WeightedRandom = "weighted-random" //
	Hash           = "hash"            // by a key of the request (PoolConfig.HashBy) and the weights
	Priority       = "priority"        // the lowest number; those with the same take turns
	LeastCalls     = "least-calls"     // who has the fewest calls for its weight
	LowestLatency  = "lowest-latency"  // who answers probes fastest, by moving average
	Parallel       = "parallel"        // all living at once
)

// Orders are the known values of PoolConfig.Order.
func Orders() []string {
	return []string{RoundRobin, Weighted, RelativeWeight, Random, WeightedRandom, Hash, Priority, LeastCalls, LowestLatency, Parallel}
}

// candidate is what an order knows of a member.
type candidate struct {
	name     string
	weight   int // 1 to 100
	priority int // lower ones first
	calls    int
	latency  time.Duration // 0: not measured
	standing health        // as of now
	share    float64       // below 1 while it starts slowly: of the requests that would be its own
}

// lot is what differs from one request to the next.
type lot struct {
	key  string // of the hash
	turn uint64 // counts requests
	seed string // of what is random
}

// order lists all members in the order in which to try them: fit ones first, then those that start slowly and are passed over this
// time, then the resting, then the dead as a last resort. cycle gives the turns for weights. Pure.
func order(kind string, list []candidate, d lot, cycle func(weights []int) []int) []int {
	names, weights, living, even := make([]string, len(list)), make([]int, len(list)), make([]int, len(list)), make([]int, len(list))
	for i, c := range list {
		names[i], weights[i] = c.name, c.weight
		if c.standing == fit {
			living[i], even[i] = c.weight, 1
		}
	}
	seed := d.seed
	var found []int
	switch kind {
	case Weighted:
		found = fromTurn(cycle(weights), d.turn)
	case RelativeWeight:
		found = fromTurn(cycle(living), d.turn)
	case Random:
		found = rendezvous(seed, names, nil)
	case WeightedRandom:
		found = rendezvous(seed, names, weights)
	case Hash:
		found, seed = rendezvous(d.key, names, weights), d.key
	case Parallel:
		found = fromTurn(cycle(even), 0)
	case Priority:
		found = inTurn(list, func(c candidate) int { return c.priority }, d.turn)
	case LeastCalls:
		found = leastCalls(list, d.turn)
	case LowestLatency:
		found = inTurn(list, latencyClass(list), d.turn)
	default:
		found = fromTurn(cycle(even), d.turn)
	}
	found = completed(found, len(list), d.turn)
	return ranked(found, list, seed)
}

// completed adds those who are not in an order yet, in turn. Pure.
func completed(order []int, members int, turn uint64) []int {
	for i := range members {
		next := int((turn + uint64(i)) % uint64(members))
		if !slices.Contains(order, next) {
			order = append(order, next)
		}
	}
	return order
}

// Latencies that differ by less than this count as equal, so that the fastest member is not the only one.
const (
	latencyNear  = time.Millisecond
	latencyShare = 4 // of the fastest's latency: a quarter
)

// latencyClass says how far a latency is from the fastest living member's: 0 near it; those not measured are behind all. Pure.
func latencyClass(list []candidate) func(candidate) int {
	fastest := time.Duration(0)
	for _, c := range list {
		if c.standing == fit && c.latency > 0 && (fastest == 0 || c.latency < fastest) {
			fastest = c.latency
		}
	}
	near := fastest + max(latencyNear, fastest/latencyShare)
	return func(c candidate) int {
		switch {
		case c.latency == 0:
			return math.MaxInt
		case c.latency <= near:
			return 0
		}
		return int(c.latency)
	}
}

// inTurn sorts members by their health and a class, lower ones first; those that are equal take turns. Pure.
func inTurn(list []candidate, class func(candidate) int, turn uint64) []int {
	return takingTurns(list, turn, func(a, b candidate) int { return cmp.Compare(class(a), class(b)) })
}

// leastCalls sorts by calls for each unit of weight. Pure.
func leastCalls(list []candidate, turn uint64) []int {
	return takingTurns(list, turn, func(a, b candidate) int { return cmp.Compare(a.calls*b.weight, b.calls*a.weight) })
}

func takingTurns(list []candidate, turn uint64, compare func(a, b candidate) int) []int {
	before := func(a, b int) int {
		return cmp.Or(cmp.Compare(list[a].standing, list[b].standing), compare(list[a], list[b]))
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, before)
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && before(order[from], order[to]) == 0 {
			to++
		}
		equals := slices.Clone(order[from:to])
		for i := range equals {
			order[from+i] = equals[(uint64(i)+turn)%uint64(len(equals))]
		}
		from = to
	}
	return order
}

// ranked keeps an order but for how its members are: see order. The share of a member that starts slowly is cut out of the hash of
// a seed, so that a key goes to it once and stays. Pure.
func ranked(order []int, list []candidate, seed string) []int {
	rank := func(i int) int {
		c := list[i]
		switch {
		case c.standing == dead:
			return 3
		case c.standing == resting:
			return 2
		case c.share < 1 && unit(seed+"\x00share", c.name) >= c.share:
			return 1
		}
		return 0
	}
	sorted := make([]int, 0, len(order))
	for want := range 4 {
		for _, i := range order {
			if rank(i) == want {
				sorted = append(sorted, i)
			}
		}
	}
	return sorted
}
