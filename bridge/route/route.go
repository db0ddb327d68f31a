// Package route decides where a request goes, and says why; pure.
package route

import (
	"regexp"
	"time"
)

// Browsers is the name of the browsers as origin and as target.
const Browsers = "browsers"

// Rule is one line of the routes; empty conditions match everything.
type Rule struct {
	From     string // "browsers", a pool's or a trunk's name
	Domain   string // of the Request-URI (browsers' REGISTER, INVITE …), lower case
	User     *regexp.Regexp
	To       string // "browsers", a pool or a trunk
	Reject   int    // status, where not 0
	Register string // "forward" (default), later "vouch", "local"
	Tenant   string
	Line     int // in the configuration file
}

// Query is what is known of a request.
type Query struct {
	From, Domain, User, Method string
	At                         time.Time
}

// Decision names the rule that decided (its index; -1: none did) and what it says.
type Decision struct {
	Rule     int
	To       string
	Reject   int
	Register string
	Tenant   string
	Why      string // one sentence
}

// Table is a list of rules, the first that matches decides.
type Table struct{}

// New compiles the rules.
func New(rules []Rule) *Table { panic("skeleton") }

// Route decides; without a matching rule Reject is 404.
func (t *Table) Route(q Query) Decision { panic("skeleton") }
