package route

import (
	"fmt"
	"strings"
)

// Why says in one sentence which rule decided, by which conditions, and what it says. It names pools: for the log and the
// operator, not for who sent the request.
func (d Decision) Why() string {
	if d.rule == nil {
		return fmt.Sprintf("No rule of %d matches a request of %s from %s for user %q at domain %q.",
			d.among, orAny(d.query.Method), orAny(d.query.From), d.query.User, d.query.Domain)
	}
	place := ""
	if d.rule.Line > 0 {
		place = fmt.Sprintf(" (line %d)", d.rule.Line)
	}
	return fmt.Sprintf("Rule %d%s is the first that matches: %s; it %s.", d.Rule+1, place, d.rule.conditions(d.entry), d.says())
}

// Refusal is why a request is rejected, for who sent it.
func (d Decision) Refusal() string {
	switch {
	case d.rule == nil:
		return "No rule matches."
	case d.denied != "":
		return "Destinations of this class are not allowed."
	}
	return "Refused by a rule."
}

func (d Decision) says() string {
	if d.denied != "" {
		return fmt.Sprintf("rejects it with %d, for %s, and it allows %s", d.Reject, d.denied, strings.Join(d.rule.Allowed, ", "))
	}
	if d.Reject != 0 {
		return fmt.Sprintf("rejects it with %d", d.Reject)
	}
	if len(d.Targets) == 0 || d.registers() && d.Register == Local {
		return "registers it here"
	}
	var b strings.Builder
	switch {
	case !d.registers():
		b.WriteString("sends it to ")
	case d.Register == Vouch:
		b.WriteString("vouches for it and registers it at ")
	default:
		b.WriteString("leaves its registration to ")
	}
	for i, t := range d.Targets {
		switch {
		case i > 0 && t.Priority == d.Targets[i-1].Priority:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", then ")
		}
		b.WriteString(t.Name)
		if t.Weight > 1 {
			fmt.Fprintf(&b, " (weight %d)", t.Weight)
		}
	}
	if d.Fallback {
		b.WriteString(", and where that fails on to the next rule")
	}
	return b.String()
}

// registers says whether the request is a browser's REGISTER.
func (d Decision) registers() bool { return d.query.Method == "REGISTER" && d.query.From == Browsers }

// conditions words what the rule asks for.
func (r *rule) conditions(entry Entry) string {
	var list []string
	say := func(asked bool, format string, args ...any) {
		if asked {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(r.From != "", "from %s", r.From)
	say(r.Domain != "", "domain %s", r.Domain)
	say(len(r.Prefix) > 0, "user begins with %s", strings.Join(r.Prefix, " or "))
	if r.User != nil {
		say(true, "user matches %s", r.User)
	}
	if r.Table != nil {
		say(true, "user is in %s%s", r.Table.name, longest(entry))
	}
	say(len(r.FromPrefix) > 0, "From user begins with %s", strings.Join(r.FromPrefix, " or "))
	if r.FromUser != nil {
		say(true, "From user matches %s", r.FromUser)
	}
	if r.FromTable != nil {
		say(true, "From user is in %s", r.FromTable.name)
	}
	for _, p := range r.Headers {
		say(true, "header %s matches %s", p.Name, p.Value)
	}
	for _, p := range r.Claims {
		say(true, "claim %s matches %s", p.Name, p.Value)
	}
	say(len(r.Times) > 0, "it is %s", windows(r.Times))
	say(len(list) == 0, "it has no conditions")
	return strings.Join(list, ", ")
}

func longest(e Entry) string {
	if e.Prefix == "" {
		return ""
	}
	return " (longest prefix " + e.Prefix + ")"
}

func windows(ws []Window) string {
	texts := make([]string, len(ws))
	for i, w := range ws {
		texts[i] = w.String()
	}
	return strings.Join(texts, " or ")
}

// Step is what one rule said to a query.
type Step struct {
	Rule    int // index
	Line    int // in the configuration file; 0: not known
	Matches bool
	Says    string // why it does not match, or what it does
}

// Explain asks the rules one after another, without the index, up to the one that decides; with fallback those behind it, too.
// The decisions are those of the rules that matched, in their order; the last rejects where nothing did.
func (t *Table) Explain(q Query) (steps []Step, decisions []Decision) {
	q = q.canonical()
	like := Decision{Rule: -1, Reject: noRoute, Tenant: q.Domain, query: &q, among: len(t.rules)}
	for i := max(q.After, 0); i < len(t.rules); i++ {
		r := &t.rules[i]
		entry, missed := r.match(&q)
		if missed != nothing {
			steps = append(steps, Step{Rule: i, Line: r.Line, Says: r.missing(missed, &q)})
			continue
		}
		d := r.decide(i, entry, like)
		steps = append(steps, Step{Rule: i, Line: r.Line, Matches: true, Says: r.conditions(entry) + ": " + d.says()})
		decisions = append(decisions, d)
		if !d.Fallback {
			return steps, decisions
		}
	}
	if len(decisions) == 0 {
		decisions = []Decision{like}
	}
	return steps, decisions
}

// missing says what keeps the rule from matching.
func (r *rule) missing(c condition, q *Query) string {
	switch c {
	case byFrom:
		return fmt.Sprintf("it is for what comes from %s, and this comes from %s", r.From, orAny(q.From))
	case byDomain:
		return fmt.Sprintf("it is for domain %s, and this is for %q", r.Domain, q.Domain)
	case byUser:
		return fmt.Sprintf("user %q does not match %s", q.User, r.User)
	case byPrefix:
		return fmt.Sprintf("user %q does not begin with %s", q.User, strings.Join(r.Prefix, " or "))
	case byTable:
		return fmt.Sprintf("user %q is not in %s", q.User, r.Table.name)
	case byFromUser:
		return fmt.Sprintf("From user %q does not match %s", q.FromUser, r.FromUser)
	case byFromPrefix:
		return fmt.Sprintf("From user %q does not begin with %s", q.FromUser, strings.Join(r.FromPrefix, " or "))
	case byFromTable:
		return fmt.Sprintf("From user %q is not in %s", q.FromUser, r.FromTable.name)
	case byHeader:
		p := r.Headers[unmatched(r.Headers, q.Header)]
		return fmt.Sprintf("header %s %q does not match %s", p.Name, valuesOf(q.Header, p.Name), p.Value)
	case byClaim:
		p := r.Claims[unmatched(r.Claims, q.Claim)]
		return fmt.Sprintf("claim %s %q does not match %s", p.Name, valuesOf(q.Claim, p.Name), p.Value)
	case byTime:
		return fmt.Sprintf("%s is not within %s", q.At.Format("Mon 15:04 MST"), windows(r.Times))
	}
	return "it matches"
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}
