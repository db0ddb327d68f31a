// Package numbers says how telephone numbers and callers are written on the way to a pool or trunk and back; pure. Within the gateway
// a number is E.164's with a plus sign, which is what routes are asked about.
package numbers

import (
	"regexp"
	"strings"
)

// Format is how a peer wants numbers.
type Format string

const (
	AsIs          Format = ""              // as they come
	E164          Format = "e164"          // +4930123456
	Plain         Format = "plain"         // 4930123456
	International Format = "international" // 004930123456
	National      Format = "national"      // 030123456; other countries' as International
)

// least is how many digits stand behind a prefix at least: what is shorter is a short code, 112 in a country whose prefix is 1.
const least = 6

// Plan is how one peer writes numbers. The zero value changes nothing.
type Plan struct {
	Format        Format // towards the peer
	Country       string // the country code of its national numbers: digits
	National      string // the prefix before them: "0", "1", …
	International string // the prefix before a country code: "00", "011", …
	In, Out       []Rule // of the peer, and towards it: the first that matches decides, in the place of all above
}

// Rule rewrites the user part of a URI.
type Rule struct {
	Match   *regexp.Regexp
	Replace string // with $1, $2, … for groups; the whole of the user
}

// Heard is a user part of the peer's as the gateway has it.
func (p *Plan) Heard(user string) string {
	number, params := cut(user)
	if out, done := rewrite(p.In, number); done {
		return out + params
	}
	digits, is := Number(number)
	if !is {
		return user
	}
	if global := p.global(digits); global != digits || digits[0] == '+' {
		return global + params
	}
	if p.Format == Plain && len(digits) > least+1 {
		return "+" + digits + params
	}
	return user
}

// Written is a user part of ours as the peer wants it.
func (p *Plan) Written(user string) string {
	number, params := cut(user)
	if out, done := rewrite(p.Out, number); done {
		return out + params
	}
	digits, is := Number(number)
	if p.Format == AsIs || !is {
		return user
	}
	digits = p.global(digits)
	rest, global := strings.CutPrefix(digits, "+")
	if !global {
		return user
	}
	return p.format(rest) + params
}

// format writes an E.164 number, which comes without its plus sign.
func (p *Plan) format(number string) string {
	switch p.Format {
	case Plain:
		return number
	case International:
		return p.International + number
	case National:
		if home, ours := strings.CutPrefix(number, p.Country); ours {
			return p.National + home
		}
		return p.International + number
	}
	return "+" + number
}

// global puts a plus sign in the place of the prefixes of the plan; a number without them stays as it is.
func (p *Plan) global(digits string) string {
	if rest, found := strings.CutPrefix(digits, p.International); found && p.International != "" && len(rest) >= least {
		return "+" + rest
	}
	if rest, found := strings.CutPrefix(digits, p.National); found && p.National != "" && p.Country != "" && len(rest) >= least {
		return "+" + p.Country + rest
	}
	return digits
}

func rewrite(rules []Rule, user string) (string, bool) {
	for _, r := range rules {
		if m := r.Match.FindStringSubmatchIndex(user); m != nil {
			return string(r.Match.ExpandString(nil, r.Replace, user, m)), true
		}
	}
	return "", false
}

// Number gives the digits of a telephone number, with its plus sign if it has one, and without the visual separators of RFC 3966 §5.1.1;
// false for what is none.
func Number(user string) (string, bool) {
	var out strings.Builder
	digits := 0
	for i, c := range user {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '+' && i == 0:
		case strings.ContainsRune("-.()", c) && i > 0, c == '(' && i == 0:
			continue
		default:
			return "", false
		}
		out.WriteRune(c)
	}
	return out.String(), digits > 0
}

// cut parts a user from the parameters of a telephone number in it (RFC 3261 §19.1.6).
func cut(user string) (number, params string) {
	if i := strings.IndexByte(user, ';'); i >= 0 {
		return user[:i], user[i:]
	}
	return user, ""
}
