package numbers

import (
	"regexp"
	"slices"
)

// What Caller.From and Caller.Identity may say beside a number.
const (
	TheCaller  = "caller"  // who calls
	TheAccount = "account" // the gateway's user name at the peer
	Nobody     = "none"    // Identity: no header
)

// Caller is who a peer is told to be calling. The zero value changes nothing.
type Caller struct {
	From     string           // user of From: TheCaller (also ""), TheAccount or a number
	Identity string           // user of Header: "" (as the peer's trust says), TheCaller, TheAccount, Nobody or a number
	Header   string           // that says it: "P-Asserted-Identity" (also ""), "P-Preferred-Identity", "Remote-Party-ID"
	Domain   string           // of both; "": the caller's own
	Allowed  []*regexp.Regexp // callers that may be shown; none: whoever has a number
	Instead  string           // shown instead of others; "": they are shown
	Asserted bool             // of the peer's own calls: whom it asserts is the caller, in the place of From
}

// Given is who calls, as the gateway knows it.
type Given struct {
	User     string // of From
	Asserted string // the user of the identity that is believed; "": none
	Account  string // the gateway's user name at the peer
	Private  bool   // the caller wants not to be shown (RFC 3323)
}

// Shown is who the peer is told to be calling; the users are as the gateway has them.
type Shown struct {
	User      string // of From; "": an anonymous one
	Identity  string // of the header; "": none
	IsAccount bool   // User is a name, and no number
}

// Show applies the rules.
func (c *Caller) Show(g Given) Shown {
	s := Shown{User: g.User, Identity: c.Identity}
	number := c.number(g)
	switch c.From {
	case "", TheCaller:
		if g.Private {
			s.User = ""
		} else if !c.may(g.User) {
			s.User = number
		}
	case TheAccount:
		s.User, s.IsAccount = g.Account, true
	default:
		s.User = c.From
	}
	switch c.Identity {
	case TheCaller:
		s.Identity = number
	case TheAccount:
		s.Identity = g.Account
	case Nobody:
		s.Identity = ""
	}
	return s
}

// number is whom the call is from: who is asserted, who says so, or else the number for such.
func (c *Caller) number(g Given) string {
	for _, user := range []string{g.Asserted, g.User} {
		if user != "" && c.may(user) {
			return user
		}
	}
	if c.Instead == "" {
		return g.User
	}
	return c.Instead
}

// may says whether a caller may be shown.
func (c *Caller) may(user string) bool {
	if c.Instead == "" {
		return true
	}
	number, _ := cut(user)
	if len(c.Allowed) > 0 {
		return slices.ContainsFunc(c.Allowed, func(re *regexp.Regexp) bool { return re.MatchString(number) })
	}
	_, is := Number(number)
	return is
}
