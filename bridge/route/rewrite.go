package route

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rewrite is what a rule changes in the requests that it sends on. Empty fields change nothing.
//
// User, FromUser and the values of headers are templates: $0 is the user that they are about (the Request-URI's, in FromUser that
// of From) as rules see it, $1 to $9 what the groups of the rule's expression took of it, $$ a dollar. Whatever they take in,
// the outcome is one user, or one line.
type Rewrite struct {
	Strip      int    // characters off the front of the Request-URI's user
	Prepend    string // then before it
	User       string // in the place of both
	Domain     string // of the Request-URI
	FromUser   string // of From
	FromDomain string
	Set        []Header // in the place of what the request has of that name
	Add        []Header // beside it
	Remove     []string // names
}

// Header is a header to be written.
type Header struct{ Name, Value string }

func (w Rewrite) empty() bool {
	return w.Strip == 0 && w.Prepend == "" && w.User == "" && w.Domain == "" && w.FromUser == "" && w.FromDomain == "" &&
		len(w.Set)+len(w.Add)+len(w.Remove) == 0
}

// Change is a Rewrite as one request gets it. Users have the escapes that a SIP URI needs; "" is no change.
type Change struct {
	User, Domain, FromUser, FromDomain string
	Set, Add                           []Header
	Remove                             []string
}

// change makes the templates of what matched.
func (w Rewrite) change(r *rule, q *Query) *Change {
	groups := groupsOf(r.User, q.User)
	c := &Change{Domain: hostText(w.Domain), FromDomain: hostText(w.FromDomain), Remove: w.Remove}
	switch {
	case q.User == "": // a REGISTER, or a domain's own
	case w.User != "":
		c.User = escapeUser(expand(w.User, groups))
	case w.Strip > 0 || w.Prepend != "":
		c.User = escapeUser(w.Prepend + q.User[min(w.Strip, len(q.User)):])
	}
	if w.FromUser != "" {
		c.FromUser = escapeUser(expand(w.FromUser, groupsOf(r.FromUser, q.FromUser)))
	}
	c.Set, c.Add = written(w.Set, groups), written(w.Add, groups)
	return c
}

// written are headers with their templates filled in. One that could not be a header is left out, whoever let it in.
func written(headers []Header, groups []string) (out []Header) {
	for _, h := range headers {
		if Writable(h.Name) == nil {
			out = append(out, Header{h.Name, oneLine(expand(h.Value, groups))})
		}
	}
	return out
}

// groupsOf is the text, and what an expression's groups took of it.
func groupsOf(re *regexp.Regexp, text string) []string {
	if re == nil || re.NumSubexp() == 0 {
		return []string{text}
	}
	found := re.FindStringSubmatch(text)
	if found == nil {
		return []string{text}
	}
	found[0] = text
	return found
}

// expand fills a template in; a group that is not there is empty.
func expand(template string, groups []string) string {
	if strings.IndexByte(template, '$') < 0 {
		return template
	}
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '$' || i+1 == len(template) {
			b.WriteByte(c)
			continue
		}
		i++
		switch n := template[i]; {
		case n == '$':
			b.WriteByte('$')
		case n < '0' || n > '9':
			b.WriteByte('$')
			b.WriteByte(n)
		case int(n-'0') < len(groups):
			b.WriteString(groups[n-'0'])
		}
	}
	return b.String()
}

// escapeUser writes a user as RFC 3261 §25.1 has it: unreserved characters and those of user-unreserved as they are, % where it
// begins an escape that no one could take for another character, and all else escaped.
func escapeUser(user string) string {
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		switch c := user[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0,
			c == '%' && isEscape(user[i:]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isEscape says whether a text begins with an escape that Plain lets stand.
func isEscape(text string) bool { return len(text) > 2 && isHex(text[1]) && isHex(text[2]) }

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// hostText leaves of a host what may stand in one.
func hostText(host string) string {
	return strings.Map(func(c rune) rune {
		if c > ' ' && c < 0x7f && !strings.ContainsRune("@;?<>\"/\\,", c) {
			return c
		}
		return -1
	}, host)
}

// oneLine leaves out what could end a line, or what follows it.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0x7f {
			return -1
		}
		return c
	}, text))
}

// owned are the headers that a leg makes or judges by itself (RFC 3261 and the extensions that the gateway speaks); a route has no
// say in them.
var owned = []string{
	"accept", "accept-encoding", "allow", "allow-events", "authentication-info", "authorization", "call-id", "contact",
	"content-disposition", "content-encoding", "content-language", "content-length", "content-type", "cseq", "event", "expires",
	"flow-timer", "from", "max-forwards", "mime-version", "min-expires", "min-se", "path", "proxy-authenticate",
	"proxy-authorization", "proxy-require", "rack", "record-route", "refer-sub", "refer-to", "replaces", "require", "route", "rseq",
	"security-client", "security-server", "security-verify", "service-route", "session-expires", "session-id", "sip-etag",
	"sip-if-match", "subscription-state", "supported", "target-dialog", "timestamp", "to", "unsupported", "via", "www-authenticate",
}

// Writable says what is wrong with the name of a header that a route is to set, add or remove.
func Writable(name string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !tokenRune(c) }):
		return fmt.Errorf("%.60q is not the name of a header", name)
	case len(name) == 1:
		return fmt.Errorf("%q is a short form; write the header's whole name", name)
	case slices.Contains(owned, strings.ToLower(name)):
		return fmt.Errorf("%s is made by each leg for itself", name)
	}
	return nil
}

// tokenRune is RFC 3261 §25.1's token.
func tokenRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-.!%*_+`'~", c)
}

// CheckTemplate says what is wrong with a template that takes the groups of an expression, which may be nil.
func CheckTemplate(template string, re *regexp.Regexp) error {
	if oneLine(template) != template {
		return fmt.Errorf("%.60q has control characters, or blanks at an end", template)
	}
	groups := 0
	if re != nil {
		groups = re.NumSubexp()
	}
	for i := 0; i < len(template); i++ {
		if template[i] != '$' {
			continue
		}
		i++
		switch {
		case i == len(template) || template[i] != '$' && (template[i] < '0' || template[i] > '9'):
			return fmt.Errorf("in %.60q a $ is followed by neither a digit nor another $", template)
		case template[i] != '$' && int(template[i]-'0') > groups:
			return fmt.Errorf("$%c is a group that the expression has not (%d)", template[i], groups)
		}
	}
	return nil
}
