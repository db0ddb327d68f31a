package route

import (
	"strconv"
	"strings"
)

// Plain is a URI's user as rules see it, so that no spelling gets by a rule: escapes of printable ASCII are undone (%25
// alone stays), and of a telephone number (a + or a digit, then digits, * and #, RFC 3966 §3) the visual separators and the
// parameters are left out.
func Plain(user string) string {
	if !strings.ContainsAny(user, "%;-.()") {
		return user
	}
	user = unescaped(user)
	if number, ok := digitsOf(user); ok {
		return number
	}
	return user
}

func unescaped(user string) string {
	if strings.IndexByte(user, '%') < 0 {
		return user
	}
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		c := user[i]
		if c == '%' && i+2 < len(user) {
			if decoded, err := strconv.ParseUint(user[i+1:i+3], 16, 8); err == nil && decoded > ' ' && decoded < 0x7f && decoded != '%' {
				c = byte(decoded)
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// digitsOf is a telephone number without what is there for the eye; false where the user is none.
func digitsOf(user string) (string, bool) {
	number, _, _ := strings.Cut(user, ";")
	var b strings.Builder
	for i := 0; i < len(number); i++ {
		switch c := number[i]; {
		case c >= '0' && c <= '9', c == '+' && b.Len() == 0, (c == '*' || c == '#') && b.Len() > 0:
			b.WriteByte(c)
		case strings.IndexByte("-.()", c) < 0:
			return "", false
		}
	}
	return b.String(), strings.ContainsAny(b.String(), "0123456789")
}
