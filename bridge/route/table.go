package route

import (
	"fmt"
	"slices"
	"strings"
)

// noRoute is the status where no rule matches (RFC 3261 §21.4.5).
const noRoute = 404

// Table is a list of rules, the first that matches decides. It never changes, so any goroutine may ask it.
type Table struct {
	rules []Rule
}

// New compiles the rules. The given slice is not kept.
func New(rules []Rule) *Table {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Domain = canonicalDomain(rules[i].Domain)
		if rules[i].Register == "" {
			rules[i].Register = Forward
		}
	}
	return &Table{rules: rules}
}

// Route decides; without a matching rule Reject is 404.
func (t *Table) Route(q Query) Decision {
	domain := canonicalDomain(q.Domain)
	for i := range t.rules {
		r := &t.rules[i]
		if !r.matches(q, domain) {
			continue
		}
		d := Decision{Rule: i, To: r.To, Reject: r.Reject, Register: r.Register, Tenant: r.Tenant, Record: r.Record}
		if d.Reject != 0 {
			d.To, d.Register = "", ""
		}
		if d.Tenant == "" {
			d.Tenant = domain
		}
		d.Why = r.why(i)
		return d
	}
	return Decision{
		Rule: -1, Reject: noRoute, Tenant: domain,
		Why: fmt.Sprintf("No rule of %d matches a request of %s from %s for user %q at domain %q.",
			len(t.rules), orAny(q.Method), orAny(q.From), q.User, domain),
	}
}

func (r *Rule) matches(q Query, domain string) bool {
	return (r.From == "" || r.From == q.From) &&
		(r.Domain == "" || r.Domain == domain) &&
		(r.User == nil || r.User.MatchString(q.User))
}

// why explains the rule in one sentence: what it asked for, and what it says.
func (r *Rule) why(index int) string {
	var conditions []string
	if r.From != "" {
		conditions = append(conditions, "from "+r.From)
	}
	if r.Domain != "" {
		conditions = append(conditions, "domain "+r.Domain)
	}
	if r.User != nil {
		conditions = append(conditions, "user matches "+r.User.String())
	}
	if len(conditions) == 0 {
		conditions = append(conditions, "it has no conditions")
	}
	place := ""
	if r.Line > 0 {
		place = fmt.Sprintf(" (line %d)", r.Line)
	}
	says := "sends it to " + r.To
	if r.Reject != 0 {
		says = fmt.Sprintf("rejects it with %d", r.Reject)
	}
	return fmt.Sprintf("Rule %d%s is the first that matches: %s; it %s.", index+1, place, strings.Join(conditions, ", "), says)
}

func canonicalDomain(d string) string {
	return strings.ToLower(strings.TrimSuffix(d, "."))
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}
