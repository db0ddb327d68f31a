package transaction

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// address is what From, To, Contact, Route and their like hold (RFC 3261 §20.10).
type address struct {
	display string // without its quotes, escapes kept
	uri     sip.Uri
	params  sip.HeaderParams
}

// parseAddress reads one name-addr or addr-spec with the header's parameters.
func parseAddress(s string) (address, bool) {
	s = strings.Trim(s, " \t")
	var a address
	before, behind, bracketed := cutBracket(s)
	if !bracketed {
		// Without brackets what follows the URI is the header's (§20: then the URI holds no comma, semicolon or question mark).
		spec, params, _ := strings.Cut(s, ";")
		spec = strings.Trim(spec, " \t")
		if strings.ContainsAny(spec, "?,") || !parseURI(spec, &a.uri) {
			return a, false
		}
		var ok bool
		a.params, ok = parseParams(params)
		return a, ok
	}
	spec, params, closed := strings.Cut(behind, ">")
	var ok bool
	if a.display, ok = displayName(before); !ok || !closed || !parseURI(spec, &a.uri) {
		return a, false
	}
	params = strings.Trim(params, " \t")
	if params == "" {
		return a, true
	}
	if params, ok = strings.CutPrefix(params, ";"); !ok {
		return a, false
	}
	a.params, ok = parseParams(params)
	return a, ok
}

// cutBracket finds the "<" that is no part of a quoted display name.
func cutBracket(s string) (before, behind string, ok bool) {
	at := scan(s, func(c byte) bool { return c == '<' })
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// displayName takes a quoted string, or words; beyond the grammar's tokens what is clear is let through.
func displayName(s string) (string, bool) {
	s = strings.Trim(s, " \t")
	if quoted(s) {
		return s[1 : len(s)-1], true
	}
	return s, !strings.ContainsAny(s, "\",;:@<>\\")
}

// quoted says whether s is exactly one quoted string.
func quoted(s string) bool {
	return len(s) >= 2 && s[0] == '"' && endOfQuote(s) == len(s)
}

// endOfQuote is the index behind the quoted string that s begins with; -1 where it does not end.
func endOfQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// scan is the index of the first byte outside quoted strings that stop wants; -1 where there is none.
func scan(s string, stop func(byte) bool) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			end := endOfQuote(s[i:])
			if end < 0 {
				return -1
			}
			i += end - 1
			continue
		}
		if stop(s[i]) {
			return i
		}
	}
	return -1
}

// split cuts a header's value where separator stands outside quotes and angle brackets.
func split(s string, separator byte) []string {
	var items []string
	for {
		inside := false
		at := scan(s, func(c byte) bool {
			switch c {
			case '<':
				inside = true
			case '>':
				inside = false
			}
			return c == separator && !inside
		})
		if at < 0 {
			return append(items, s)
		}
		items = append(items, s[:at])
		s = s[at+1:]
	}
}

// parseParams reads a header's parameters (§7.3.1). A quoted value keeps its quotes, unless it holds white space: sipgo's
// writer puts quotes around that.
func parseParams(s string) (sip.HeaderParams, bool) {
	if strings.Count(s, ";") > maxParams {
		return nil, false
	}
	var params sip.HeaderParams
	for _, item := range split(s, ';') {
		name, value, _ := strings.Cut(item, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		if name == "" && value == "" {
			continue
		}
		for _, known := range []string{"tag", "branch", "rport", "received"} {
			if strings.EqualFold(name, known) {
				name = known
			}
		}
		switch {
		case !isToken(name):
			return nil, false
		case quoted(value):
			if strings.ContainsAny(value, " \t") {
				value = value[1 : len(value)-1]
			}
		case strings.ContainsAny(value, " \t<>\","):
			return nil, false
		}
		params = append(params, sip.HeaderKV{K: name, V: value})
	}
	return params, true
}

// parseVia reads one Via value (§20.42). What names another protocol or version comes back with false, but whole, so that
// the request can be answered.
func parseVia(s string) (*sip.ViaHeader, bool) {
	v := &sip.ViaHeader{}
	var ok bool
	if v.ProtocolName, s, ok = strings.Cut(s, "/"); !ok {
		return nil, false
	}
	if v.ProtocolVersion, s, ok = strings.Cut(s, "/"); !ok {
		return nil, false
	}
	v.ProtocolName, v.ProtocolVersion = strings.Trim(v.ProtocolName, " \t"), strings.Trim(v.ProtocolVersion, " \t")
	sent, params, _ := strings.Cut(strings.Trim(s, " \t"), ";")
	space := strings.IndexAny(sent, " \t")
	if space < 0 || !isToken(sent[:space]) {
		return nil, false
	}
	v.Transport = sent[:space]
	if v.Host, v.Port, ok = cutPort(strings.Trim(sent[space:], " \t")); !ok {
		return nil, false
	}
	if v.Params, ok = parseParams(params); !ok {
		return nil, false
	}
	return v, strings.EqualFold(v.ProtocolName, "SIP") && v.ProtocolVersion == "2.0"
}
