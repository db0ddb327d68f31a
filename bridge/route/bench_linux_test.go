package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRoute prints what a decision costs: by a thousand rules, and by a table of a million prefixes. Run it with -benchtime 1x.
func BenchmarkRoute(b *testing.B) {
	for range b.N {
		table, queries := thousandRules()
		hits := 0
		for _, q := range queries {
			if table.Route(q).Rule >= 0 {
				hits++
			}
		}
		fmt.Printf("1000 rules, %d with expressions; %d of %d queries are decided by one\n", expressions(unwrapped(table)), hits, len(queries))
		report(b, "route-us-1000-rules", 5, perDecision(func(i int) { table.Route(queries[i%len(queries)]) }))
		before := time.Now()
		text := millionPrefixes()
		made := time.Now()
		prefixes, err := ParsePrefixes("million", text, anyTarget)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Printf("table of %d prefixes: made in %v, read in %v, %d bytes of file, %d kB of trie\n", prefixes.Len(), made.Sub(before).Round(time.Millisecond),
			time.Since(made).Round(time.Millisecond), len(text), len(prefixes.nodes)*12/1024)
		numbers := numbersLike(text)
		report(b, "route-us-1e6-prefixes", 1, perDecision(func(i int) { prefixes.Lookup(numbers[i%len(numbers)]) }))
		whole := New([]Rule{{From: "pbx", To: Browsers}, {From: Browsers, Table: prefixes}})
		fmt.Printf("a whole decision by that table: %.2f µs\n", perDecision(func(i int) {
			whole.Route(Query{From: Browsers, Domain: "example.com", User: numbers[i%len(numbers)]})
		}))
	}
}

func report(b *testing.B, name string, target, us float64) {
	fmt.Printf("figure %s %.2f %.2f\n", name, us, target)
	b.ReportMetric(us, name)
}

// perDecision is the median of five runs, in microseconds of processor time: what else runs on the machine does not count.
func perDecision(decide func(i int)) float64 {
	const decisions = 200_000
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	var runs []float64
	for range 5 {
		began := threadTime()
		for i := range decisions {
			decide(i)
		}
		runs = append(runs, float64((threadTime()-began).Microseconds())/decisions)
	}
	slices.Sort(runs)
	return runs[len(runs)/2]
}

// threadTime is the processor time of this thread.
func threadTime() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// thousandRules are those of a service with twenty tenants and some trunks: 800 by prefix and 200 by expression, one in four of
// which is not anchored; the queries are calls that any of them may decide, and some that none does.
func thousandRules() (*Table, []Query) {
	r := rand.New(rand.NewPCG(3, 5))
	var rules []Rule
	for i := range 1000 {
		rule := Rule{From: Browsers, To: fmt.Sprintf("trunk%d", i%9), Domain: fmt.Sprintf("tenant%d.example", i%20), Line: i}
		if i%10 == 9 { // some are for all tenants, or from all origins
			rule.Domain = ""
		}
		switch {
		case i%20 == 4:
			rule.User = regexp.MustCompile(fmt.Sprintf(`%02d\d{%d}$`, r.IntN(100), 3+i%3))
		case i%20 < 3:
			rule.User = regexp.MustCompile(fmt.Sprintf(`^(?:\+|00)%d(?:[1-3]\d|7)\d{%d,}$`, 30+r.IntN(60), 1+i%5))
		default:
			rule.Prefix = []string{fmt.Sprintf("+%d", 20+r.IntN(5000)), fmt.Sprintf("00%d", 20+r.IntN(5000))}
		}
		rules = append(rules, rule)
	}
	var queries []Query
	for i := range 4096 {
		queries = append(queries, Query{
			From: Browsers, Domain: fmt.Sprintf("tenant%d.example", i%20), User: fmt.Sprintf("+%d%07d", 20+r.IntN(5000), r.IntN(1e7)),
		})
	}
	return New(rules), queries
}

func unwrapped(t *Table) (rules []Rule) {
	for _, r := range t.rules {
		rules = append(rules, r.Rule)
	}
	return rules
}

func expressions(rules []Rule) (n int) {
	for _, r := range rules {
		if r.User != nil {
			n++
		}
	}
	return n
}

// millionPrefixes is a file with a million prefixes of four to ten digits, sorted as price lists are not.
func millionPrefixes() []byte {
	r := rand.New(rand.NewPCG(9, 9))
	seen := make(map[string]bool, 1_000_000)
	var text strings.Builder
	for len(seen) < 1_000_000 {
		digits := fmt.Sprintf("%010d", 1_000_000_000+r.Int64N(9_000_000_000))[:4+r.IntN(7)]
		if seen[digits] {
			digits = fmt.Sprintf("%d%05d", 10+r.IntN(89), r.IntN(100_000))
		}
		if !seen[digits] {
			seen[digits] = true
			fmt.Fprintf(&text, "+%s carrier%d carrier%d\n", digits, r.IntN(10), 10+r.IntN(10))
		}
	}
	return []byte(text.String())
}

// numbersLike are numbers that begin as the table's prefixes do.
func numbersLike(text []byte) []string {
	r := rand.New(rand.NewPCG(4, 4))
	lines := strings.Split(string(text), "\n")
	numbers := make([]string, 1<<17)
	for i := range numbers {
		prefix, _, _ := strings.Cut(lines[r.IntN(len(lines)-1)], " ")
		numbers[i] = prefix + fmt.Sprintf("%05d", r.IntN(100_000))
	}
	return numbers
}
