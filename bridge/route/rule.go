// Package route decides where a request goes, and says why; pure.
package route

import (
	"cmp"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"
)

// Browsers is the name of the browsers as origin and as target.
const Browsers = "browsers"

// The values of Rule.Register and Decision.Register.
const (
	Forward = "forward" // the backend is the registrar
	Vouch   = "vouch"   // the gateway authenticates and acts in the user's name
	Local   = "local"   // the gateway is the registrar
)

// Rule is one line of the routes: conditions, all of which have to hold (empty ones do), and what is done then.
type Rule struct {
	From   string // "browsers", a pool's or a trunk's name
	Domain string // of the Request-URI; case and a trailing dot do not matter; "*.example.com" is any name below

	// Conditions on the user of the Request-URI, which is empty in a REGISTER, and on that of From. They see it plain:
	// escapes undone, and of a telephone number its digits alone; see Plain. Expressions are unanchored unless they say ^ or $.
	User, FromUser     *regexp.Regexp
	Prefix, FromPrefix []string // one of them
	Table, FromTable   *Prefixes

	Headers []Pattern // by header name; one that is not there is the empty text
	Claims  []Pattern // by the claim's path in the sender's token, as "role" or "realm_access.roles"
	Times   []Window  // one of them

	To       string    // "browsers", a pool or a trunk
	Targets  []Target  // in the place of To: several. What the line of Table says wins over both
	Reject   int       // status, where not 0; it wins over To
	Fallback bool      // where none of the targets can be reached, the next rule that matches has its turn
	Register string    // "forward" (default), "vouch", "local"
	Tenant   string    // default: the request's domain
	Rewrite  Rewrite   // what changes on the way
	Allowed  []string  // the classes that the user may be of as it goes on; others are rejected with 403. None: any
	Classes  *Classes  // needed with Allowed
	Record   Recording // of calls
	Line     int       // in the configuration file
}

// Pattern is what one of the values of a name has to match.
type Pattern struct {
	Name  string
	Value *regexp.Regexp
}

// Target is one of several places to go to. The lowest priority is tried first; those of one priority share by their weights,
// and stand in for each other (as RFC 2782 has it).
type Target struct {
	Name     string // "browsers", a pool or a trunk
	Priority int
	Weight   int // at least 1 is taken
}

// Recording says how the calls of a rule are recorded.
type Recording struct {
	Format  string // "wav", "pcap", "both"; "": not at all
	Consent bool   // the parties agreed to it
}

// Query is what is known of a request.
type Query struct {
	From, Domain, User, Method string
	FromUser                   string
	Header                     func(name string) []string // the values of a header; nil: there are none
	Claim                      func(path string) []string // the values of a claim of the sender's token; nil: there are none
	At                         time.Time
	After                      int // rules before this index are passed over: see Decision.Next
}

// Decision names the rule that decided (its index; -1: none did) and what it says.
type Decision struct {
	Rule     int
	To       string   // the target that is first by priority; "" where the request is rejected
	Targets  []Target // by priority; shared, not to be changed
	Reject   int
	Fallback bool
	Register string
	Tenant   string
	Record   Recording
	Change   *Change // nil: none

	rule  *rule
	query *Query
	among int // rules
	entry Entry

	denied string // the number whose class is not allowed, and its class: "+49900 is of class premium"
}

// Next is the query for what follows where none of the targets could be reached; false where nothing does.
func (d Decision) Next() (Query, bool) {
	q := *d.query
	q.After = d.Rule + 1
	return q, d.Fallback
}

// Goes says whether a name is among the targets.
func (d Decision) Goes(to string) bool {
	return slices.ContainsFunc(d.Targets, func(t Target) bool { return t.Name == to })
}

// Order gives the targets' names in the order of one trial: by priority, and drawn by weight within one.
func (d Decision) Order() []string {
	names := make([]string, 0, len(d.Targets))
	for rest := slices.Clone(d.Targets); len(rest) > 0; {
		same := 0
		total := 0
		for same < len(rest) && rest[same].Priority == rest[0].Priority {
			total += max(rest[same].Weight, 1)
			same++
		}
		drawn := 0
		for at := rand.IntN(total); at >= max(rest[drawn].Weight, 1); drawn++ {
			at -= max(rest[drawn].Weight, 1)
		}
		names = append(names, rest[drawn].Name)
		rest = slices.Delete(rest, drawn, drawn+1)
	}
	return names
}

// byPriority sorts targets; those of one priority keep their order.
func byPriority(targets []Target) []Target {
	targets = slices.Clone(targets)
	slices.SortStableFunc(targets, func(a, b Target) int { return cmp.Compare(a.Priority, b.Priority) })
	return targets
}
