package identity

import (
	"slices"
	"strings"
)

// challenge is one challenge of a header, or the credentials of one (both have the form of RFC 7235 §2.1).
type challenge struct {
	scheme string
	params []param
	raw    string // as it stood in the header, without the commas around it
}

// param is one auth-param; its value is kept as written.
type param struct {
	name string
	raw  string // with quotes and escapes
}

// value is the parameter's value without quotes and escapes.
func (p param) value() string {
	inner, quoted := strings.CutPrefix(p.raw, `"`)
	if !quoted {
		return p.raw
	}
	inner = strings.TrimSuffix(inner, `"`)
	if !strings.Contains(inner, `\`) {
		return inner
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// find gives the place of a parameter, -1 where there is none.
func (c challenge) find(name string) int {
	return slices.IndexFunc(c.params, func(p param) bool { return strings.EqualFold(p.name, name) })
}

// value is a parameter's value, "" where there is none.
func (c challenge) value(name string) string {
	if i := c.find(name); i >= 0 {
		return c.params[i].value()
	}
	return ""
}

// set gives the challenge again with the parameter set to a raw value; a new one comes last.
func (c challenge) set(name, raw string) challenge {
	params := slices.Clone(c.params)
	if i := c.find(name); i >= 0 {
		params[i].raw = raw
	} else {
		params = append(params, param{name, raw})
	}
	return challenge{scheme: c.scheme, params: params}.rendered()
}

// without gives the challenge again without the parameter.
func (c challenge) without(name string) challenge {
	params := slices.DeleteFunc(slices.Clone(c.params), func(p param) bool { return strings.EqualFold(p.name, name) })
	return challenge{scheme: c.scheme, params: params}.rendered()
}

// rendered writes raw anew from scheme and parameters.
func (c challenge) rendered() challenge {
	var b strings.Builder
	b.WriteString(c.scheme)
	for i, p := range c.params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.raw)
	}
	c.raw = b.String()
	return c
}

// parse splits a header's value into its challenges. It takes several in one header, commas in quoted strings, and empty list
// elements; text without form ends the parse: the challenges before it stand, the one it falls into does not.
func parse(value string) []challenge {
	var all []challenge
	s := scanner{text: value}
	for start := 0; ; {
		s.separators()
		at := s.at
		name := s.token()
		if name == "" {
			if s.at < len(value) && len(all) > 0 {
				all = all[:len(all)-1]
			}
			return all
		}
		afterName := s.at
		s.space()
		if !s.next('=') {
			s.at, start = afterName, at
			all = append(all, challenge{scheme: name, raw: name})
			continue
		}
		if len(all) == 0 {
			return nil // a parameter without a scheme
		}
		s.space()
		raw, ok := s.value()
		if !ok {
			return all[:len(all)-1]
		}
		last := &all[len(all)-1]
		last.params = append(last.params, param{name, raw})
		last.raw = value[start:s.at]
	}
}

// scanner reads a header's value from left to right.
type scanner struct {
	text string
	at   int
}

// separators passes over whitespace and commas.
func (s *scanner) separators() { s.skip(" \t,") }

func (s *scanner) space() { s.skip(" \t") }

func (s *scanner) skip(set string) {
	for s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) >= 0 {
		s.at++
	}
}

// next consumes c if it comes next.
func (s *scanner) next(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// token reads a token of RFC 3261 §25.1, "" where none begins.
func (s *scanner) token() string {
	start := s.at
	for s.at < len(s.text) && isToken(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// value reads a quoted string with its quotes, or else everything up to whitespace or a comma; false where a string stays open
// or nothing comes.
func (s *scanner) value() (raw string, ok bool) {
	start := s.at
	if !s.next('"') {
		for s.at < len(s.text) && strings.IndexByte(" \t,", s.text[s.at]) < 0 {
			s.at++
		}
		return s.text[start:s.at], s.at > start
	}
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return s.text[start:s.at], true
		}
	}
	s.at = len(s.text)
	return "", false
}

func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0
}
