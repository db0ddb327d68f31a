// Package route decides where a request goes, and says why; pure.
package route

import (
	"regexp"
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

// Rule is one line of the routes; empty conditions match everything.
type Rule struct {
	From     string         // "browsers", a pool's or a trunk's name
	Domain   string         // of the Request-URI (browsers' REGISTER, INVITE …); case and a trailing dot do not matter
	User     *regexp.Regexp // of the Request-URI's user, which is empty in a REGISTER; unanchored unless it says ^ or $
	To       string         // "browsers", a pool or a trunk
	Reject   int            // status, where not 0; it wins over To
	Register string         // "forward" (default), later "vouch", "local"
	Tenant   string         // default: the request's domain
	Record   Recording
	Line     int // in the configuration file
}

// Recording says how the calls of a rule are recorded.
type Recording struct {
	Format  string // "wav", "pcap", "both"; "": not at all
	Consent bool   // the parties agreed to it
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
	Record   Recording
	Why      string // one sentence
}
