package route

import (
	"regexp"
	"slices"
	"strings"
)

// noRoute is the status where no rule matches (RFC 3261 §21.4.5).
const noRoute = 404

// Table is a list of rules, the first that matches decides. It never changes, so any goroutine may ask it.
type Table struct {
	rules []rule
	index index
}

// rule is a Rule compiled, ready to be asked.
type rule struct {
	Rule
	wild    string // ".example.com" of a Domain "*.example.com"
	targets []Target
	change  bool // Rewrite says something
}

// New compiles the rules. The given slice is not kept.
func New(rules []Rule) *Table {
	t := &Table{rules: make([]rule, len(rules))}
	for i, r := range rules {
		t.rules[i] = compiled(r)
	}
	t.index = newIndex(t.rules)
	return t
}

func compiled(from Rule) rule {
	r := rule{Rule: from, change: !from.Rewrite.empty()}
	r.Domain = canonicalDomain(r.Domain)
	if rest, wild := strings.CutPrefix(r.Domain, "*"); wild {
		r.wild = rest
	}
	if r.Register == "" {
		r.Register = Forward
	}
	r.Prefix, r.FromPrefix = plainAll(r.Prefix), plainAll(r.FromPrefix)
	r.targets = byPriority(r.Targets)
	if len(r.targets) == 0 && r.To != "" {
		r.targets = []Target{{Name: r.To, Weight: 1}}
	}
	return r
}

// Route decides; without a matching rule Reject is 404.
func (t *Table) Route(q Query) Decision {
	q = q.canonical()
	d := Decision{Rule: -1, Reject: noRoute, Tenant: q.Domain, query: &q, among: len(t.rules)}
	t.index.candidates(&q, func(i int) bool {
		entry, missed := t.rules[i].match(&q)
		if missed != nothing {
			return false
		}
		d = t.rules[i].decide(i, entry, d)
		return true
	})
	return d
}

// canonical is the query as the rules see it.
func (q Query) canonical() Query {
	q.Domain = canonicalDomain(q.Domain)
	q.User, q.FromUser = Plain(q.User), Plain(q.FromUser)
	return q
}

// decide is what the rule says, given what its tables said; like holds the query.
func (r *rule) decide(i int, entry Entry, like Decision) Decision {
	d := Decision{
		Rule: i, Targets: r.targets, Reject: r.Reject, Fallback: r.Fallback, Register: r.Register, Tenant: r.Tenant, Record: r.Record,
		rule: r, query: like.query, among: like.among, entry: entry,
	}
	if entry.Reject != 0 {
		d.Reject = entry.Reject
	} else if len(entry.Targets) > 0 {
		d.Targets = entry.Targets
	}
	if d.Tenant == "" {
		d.Tenant = like.query.Domain
	}
	switch {
	case d.Reject != 0:
		d.Targets, d.Register, d.Fallback = nil, "", false
		return d
	case len(d.Targets) > 0:
		d.To = d.Targets[0].Name
	}
	if r.change {
		d.Change = r.Rewrite.change(r, like.query)
	}
	return r.classed(d)
}

// notAllowed is the status of a number whose class the rule does not allow.
const notAllowed = 403

// classed rejects what goes to a user of a class that the rule does not allow. A REGISTER goes to nobody.
func (r *rule) classed(d Decision) Decision {
	if len(r.Allowed) == 0 || d.query.Method == "REGISTER" {
		return d
	}
	number := d.query.User
	if d.Change != nil && d.Change.User != "" {
		number = d.Change.User
	}
	class := r.Classes.Of(number)
	if class != "" && slices.Contains(r.Allowed, class) {
		return d
	}
	d.denied = number + " is of class " + class
	if class == "" {
		d.denied = number + " is of no class"
	}
	d.Reject, d.To, d.Targets, d.Register, d.Fallback, d.Change = notAllowed, "", nil, "", false, nil
	return d
}

// condition is one of a rule's conditions.
type condition uint8

const (
	nothing condition = iota
	byFrom
	byDomain
	byUser
	byPrefix
	byTable
	byFromUser
	byFromPrefix
	byFromTable
	byHeader
	byClaim
	byTime
)

// match says which condition is not met; nothing: the rule matches, and entry is what its tables say.
func (r *rule) match(q *Query) (entry Entry, missed condition) {
	switch {
	case r.From != "" && r.From != q.From:
		return entry, byFrom
	case !r.inDomain(q.Domain):
		return entry, byDomain
	case len(r.Prefix) > 0 && !hasPrefix(r.Prefix, q.User):
		return entry, byPrefix
	case len(r.FromPrefix) > 0 && !hasPrefix(r.FromPrefix, q.FromUser):
		return entry, byFromPrefix
	case r.User != nil && !r.User.MatchString(q.User):
		return entry, byUser
	case r.FromUser != nil && !r.FromUser.MatchString(q.FromUser):
		return entry, byFromUser
	case len(r.Headers) > 0 && unmatched(r.Headers, q.Header) >= 0:
		return entry, byHeader
	case len(r.Claims) > 0 && unmatched(r.Claims, q.Claim) >= 0:
		return entry, byClaim
	case len(r.Times) > 0 && !slices.ContainsFunc(r.Times, func(w Window) bool { return w.Contains(q.At) }):
		return entry, byTime
	}
	return r.lookUp(q)
}

// lookUp asks the rule's tables.
func (r *rule) lookUp(q *Query) (entry Entry, missed condition) {
	if r.FromTable != nil {
		found, ok := r.FromTable.Lookup(q.FromUser)
		if !ok {
			return entry, byFromTable
		}
		entry = found
	}
	if r.Table != nil {
		found, ok := r.Table.Lookup(q.User)
		if !ok {
			return Entry{}, byTable
		}
		if !found.silent() {
			entry = found
		}
	}
	return entry, nothing
}

func (r *rule) inDomain(domain string) bool {
	if r.wild != "" {
		return strings.HasSuffix(domain, r.wild) && len(domain) > len(r.wild)
	}
	return r.Domain == "" || r.Domain == domain
}

func hasPrefix(prefixes []string, user string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(user, p) })
}

// unmatched is the index of the first pattern that none of its name's values matches; -1: all are met.
func unmatched(patterns []Pattern, values func(string) []string) int {
	return slices.IndexFunc(patterns, func(p Pattern) bool { return !anyMatches(p.Value, valuesOf(values, p.Name)) })
}

// valuesOf are the values of a name, the empty text where there is none.
func valuesOf(values func(string) []string, name string) []string {
	if values != nil {
		if found := values(name); len(found) > 0 {
			return found
		}
	}
	return []string{""}
}

func anyMatches(re *regexp.Regexp, values []string) bool {
	return slices.ContainsFunc(values, re.MatchString)
}

func plainAll(prefixes []string) (plain []string) {
	for _, p := range prefixes {
		plain = append(plain, Plain(p))
	}
	return plain
}

func canonicalDomain(d string) string {
	return strings.ToLower(strings.TrimSuffix(d, "."))
}
