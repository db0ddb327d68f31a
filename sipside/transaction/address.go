package transaction

import (
	"iter"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// address is what From, To, Contact, Route and their like hold (RFC 3261 §20.10): a From, To, Contact or Referred-By header of
// sipgo's but for the name.
type address struct {
	DisplayName string // without its quotes, escapes kept
	Address     sip.Uri
	Params      sip.HeaderParams
}

func (a *address) header(f field) sip.Header {
	switch f {
	case from:
		return (*sip.FromHeader)(a)
	case to:
		return (*sip.ToHeader)(a)
	case contact:
		return (*sip.ContactHeader)(a)
	case route:
		return &sip.RouteHeader{Address: a.Address}
	case recordRoute:
		return &sip.RecordRouteHeader{Address: a.Address}
	case referTo:
		return &sip.ReferToHeader{Address: a.Address}
	}
	return (*sip.ReferredByHeader)(a)
}

// parse reads one name-addr or addr-spec with the header's parameters, for which there may be room.
func (a *address) parse(s string, room *paramRoom) bool {
	s = trim(s)
	before, behind, bracketed := cut(s, '<')
	if !bracketed {
		// Without brackets what follows the URI is the header's (§20: then the URI holds no comma, semicolon or question mark).
		spec, params, _ := strings.Cut(s, ";")
		spec = trim(spec)
		if strings.ContainsAny(spec, "?,") || !parseURI(spec, &a.Address) {
			return false
		}
		var ok bool
		a.Params, ok = parseParams(params, room)
		return ok
	}
	spec, params, closed := strings.Cut(behind, ">")
	var ok bool
	if a.DisplayName, ok = displayName(before); !ok || !closed || !parseURI(spec, &a.Address) {
		return false
	}
	params = trim(params)
	if params == "" {
		return true
	}
	if params, ok = strings.CutPrefix(params, ";"); !ok {
		return false
	}
	a.Params, ok = parseParams(params, room)
	return ok
}

// displayName takes a quoted string, or words; beyond the grammar's tokens what is clear is let through.
func displayName(s string) (string, bool) {
	s = trim(s)
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

// cut cuts a header's value where separator first stands outside quotes and angle brackets.
func cut(s string, separator byte) (item, rest string, found bool) {
	bracketed := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == separator && !bracketed:
			return s[:i], s[i+1:], true
		case c == '<':
			bracketed = true
		case c == '>':
			bracketed = false
		case c == '"':
			end := endOfQuote(s[i:])
			if end < 0 {
				return s, "", false
			}
			i += end - 1
		}
	}
	return s, "", false
}

// split gives the items of a header's value between separators that stand outside quotes and angle brackets.
func split(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; {
			var item string
			if item, s, more = cut(s, separator); !yield(item) {
				return
			}
		}
	}
}

// parseParams reads a header's parameters (§7.3.1). A quoted value keeps its quotes, unless it holds white space: sipgo's
// writer puts quotes around that.
func parseParams(s string, room *paramRoom) (sip.HeaderParams, bool) {
	if s == "" {
		return nil, true
	}
	n := 1 + strings.Count(s, ";")
	if n > maxParams {
		return nil, false
	}
	params := room.take(n)
	for item := range split(s, ';') {
		name, value, _ := strings.Cut(item, "=")
		name, value = trim(name), trim(value)
		if name == "" && value == "" {
			continue
		}
		name = paramName(name)
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

// paramName gives those whose value is asked for in the spelling by which it is.
func paramName(name string) string {
	for _, known := range [...]string{"tag", "branch", "rport", "received"} {
		if len(name) == len(known) && strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

// parseVia reads one Via value (§20.42). What names another protocol or version is not sound, but whole, so that the request can be
// answered.
func parseVia(v *sip.ViaHeader, s string, room *paramRoom) (whole, sound bool) {
	var ok bool
	if v.ProtocolName, s, ok = strings.Cut(s, "/"); !ok {
		return false, false
	}
	if v.ProtocolVersion, s, ok = strings.Cut(s, "/"); !ok {
		return false, false
	}
	v.ProtocolName, v.ProtocolVersion = trim(v.ProtocolName), trim(v.ProtocolVersion)
	sent, params, _ := strings.Cut(trim(s), ";")
	space := strings.IndexAny(sent, " \t")
	if space < 0 || !isToken(sent[:space]) {
		return false, false
	}
	v.Transport = sent[:space]
	if v.Host, v.Port, ok = cutPort(trim(sent[space:])); !ok {
		return false, false
	}
	if v.Params, ok = parseParams(params, room); !ok {
		return false, false
	}
	return true, strings.EqualFold(v.ProtocolName, "SIP") && v.ProtocolVersion == "2.0"
}
