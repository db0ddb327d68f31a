package hiding

import (
	"net/netip"
	"strings"
)

// Text is a text in which hidden hosts, with their ports, are Nowhere.
func (v *Veil) Text(s string) string {
	if v == nil {
		return s
	}
	return v.text(s, Nowhere)
}

// text puts instead in the place of hidden hosts. A host is told by its form: an address, or a name with a dot.
func (v *Veil) text(s, instead string) string {
	var out strings.Builder
	kept := 0 // of s, up to here, is in out
	for i := 0; i < len(s); {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			i += 3
			continue
		}
		end := hostEnd(s, i)
		if end == i {
			i++
			continue
		}
		host := strings.TrimRight(s[i:end], ".-")
		if !v.hidesInText(host) { // perhaps a part of it
			if dash := strings.IndexAny(s[i:end], "-_"); dash >= 0 {
				end = i + dash + 1
			}
			i = end
			continue
		}
		out.WriteString(s[kept:i])
		out.WriteString(instead)
		i = skipPort(s, i+len(host))
		kept = i
	}
	if kept == 0 {
		return s
	}
	return out.String() + s[kept:]
}

// hostEnd is the end of what may be a host at i: a bracketed or bare IPv6 address, or letters, digits, dots and hyphens.
func hostEnd(s string, i int) int {
	if s[i] == '[' {
		if end := strings.IndexByte(s[i:], ']'); end > 0 {
			if _, err := netip.ParseAddr(s[i+1 : i+end]); err == nil {
				return i + end + 1
			}
		}
		return i
	}
	six, end := i, i
	for six < len(s) && (isHex(s[six]) || s[six] == ':' || s[six] == '.') {
		six++
	}
	if bare := strings.TrimRight(s[i:six], ":."); strings.Count(bare, ":") > 1 {
		if _, err := netip.ParseAddr(bare); err == nil {
			return i + len(bare)
		}
	}
	for end < len(s) && hostByte(s[end]) {
		end++
	}
	if dash := strings.IndexAny(s[i:end], "-_"); dash > 0 {
		if _, err := netip.ParseAddr(s[i : i+dash]); err == nil {
			return i + dash
		}
	}
	return end
}

func (v *Veil) hidesInText(host string) bool {
	if !strings.ContainsAny(host, ".:") {
		return false
	}
	return v.Hides(plain(host))
}

// plain is a host without brackets, in lower case.
func plain(host string) string { return strings.ToLower(strings.Trim(host, "[]")) }

// skipPort is the index behind a port that stands at i.
func skipPort(s string, i int) int {
	if i+1 >= len(s) || s[i] != ':' || !isDigit(s[i+1]) {
		return i
	}
	for i++; i < len(s) && isDigit(s[i]); i++ {
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func hostByte(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '.' || c == '-' || c == '_'
}

// find is the index of a byte outside quoted strings, -1 where it is not.
func find(s string, wanted byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == wanted && !quoted:
			return i
		}
	}
	return -1
}

// split cuts a value at a separator outside quotes and angle brackets.
func split(s string, separator byte) []string {
	var items []string
	quoted, inside, from := false, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			inside = true
		case c == '>':
			inside = false
		case c == separator && !inside:
			items = append(items, s[from:i])
			from = i + 1
		}
	}
	return append(items, s[from:])
}
