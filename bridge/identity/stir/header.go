package stir

import (
	"errors"
	"strings"
)

// maxHeader bounds an Identity header.
const maxHeader = 8192

// Header is an Identity header (RFC 8224 §4).
type Header struct {
	Token string // the JWS; of the compact form with nothing before its two dots
	Info  string // where the certificate is
	Alg   string // "" where it is not said
	PPT   string // the PASSporT's type: "shaken", "div", …; "" is RFC 8225's own
}

// String is the header's value.
func (h Header) String() string {
	var b strings.Builder
	b.WriteString(h.Token + ";info=<" + h.Info + ">")
	if h.Alg != "" {
		b.WriteString(";alg=" + h.Alg)
	}
	if h.PPT != "" {
		b.WriteString(`;ppt="` + h.PPT + `"`) // as SHAKEN writes it; RFC 8224 has a token
	}
	return b.String()
}

// Compact says whether the token has only its signature.
func (h Header) Compact() bool { return strings.HasPrefix(h.Token, "..") }

// ParseHeader reads the value of an Identity header. Parameters that are not known are passed over.
func ParseHeader(value string) (h Header, err error) {
	if len(value) > maxHeader {
		return h, errors.New("the Identity header is too long")
	}
	token, rest, _ := strings.Cut(value, ";")
	if h.Token = strings.TrimSpace(token); !isToken(h.Token) {
		return h, errors.New("the Identity header begins with no JWS")
	}
	seen := map[string]bool{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		var name, text string
		if name, text, rest, err = cutParam(rest); err != nil {
			return h, err
		}
		if seen[name] {
			return h, errors.New("the Identity header says " + name + " twice")
		}
		seen[name] = true
		switch name {
		case "info":
			h.Info = text
		case "alg":
			h.Alg = text
		case "ppt":
			h.PPT = text
		}
	}
	if h.Info == "" {
		return h, errors.New("the Identity header has no info")
	}
	return h, nil
}

// isToken says whether a text has the form of a JWS, whose header and payload may be left out together.
func isToken(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[2] == "" || (parts[0] == "") != (parts[1] == "") {
		return false
	}
	for _, c := range []byte(text) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// cutParam takes one parameter from the front, with the semicolon behind it.
func cutParam(text string) (name, value, rest string, err error) {
	end := strings.IndexAny(text, ";=")
	if end < 0 {
		end = len(text)
	}
	name = strings.ToLower(strings.TrimSpace(text[:end]))
	if name == "" || strings.ContainsAny(name, " \t<>\",") {
		return "", "", "", errors.New("the Identity header has a parameter without a name")
	}
	rest = text[end:]
	if after, has := strings.CutPrefix(rest, "="); has {
		if value, rest, err = cutValue(strings.TrimLeft(after, " \t")); err != nil {
			return "", "", "", err
		}
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest != "" && rest[0] != ';' {
		return "", "", "", errors.New("the Identity header has something behind its " + name)
	}
	return name, value, strings.TrimSpace(strings.TrimPrefix(rest, ";")), nil
}

// cutValue takes a URI in angle brackets, a quoted string or a token from the front.
func cutValue(text string) (value, rest string, err error) {
	closing := ""
	switch {
	case strings.HasPrefix(text, "<"):
		closing = ">"
	case strings.HasPrefix(text, `"`):
		closing = `"`
	default:
		end := strings.IndexAny(text, "; \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], nil
	}
	value, rest, found := strings.Cut(text[1:], closing)
	if !found || strings.Contains(value, `\`) {
		return "", "", errors.New("the Identity header has a value that does not end")
	}
	return value, rest, nil
}
