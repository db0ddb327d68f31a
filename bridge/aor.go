package bridge

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// aorOf is the canonical address of record of a URI (RFC 3261 §10.3): sip:user@domain with a lower-case host, without port,
// password and parameters; sips: counts as sip:. The user part is escaped in one way only, so that what RFC 3261 §19.1.4 calls
// equal is equal. A URI of another scheme is itself. Registrations and calls both go by it.
func aorOf(uri sip.Uri) string {
	if raw := uri.Raw(); raw != "" {
		return strings.ToLower(uri.Scheme) + ":" + raw
	}
	return "sip:" + canonicalUser(uri.User) + "@" + strings.ToLower(uri.Host)
}

// canonicalUser escapes what must be and nothing else. A reserved character is not the same as its escape.
func canonicalUser(user string) string {
	if strings.IndexFunc(user, func(c rune) bool { return c >= 0x80 || !unreserved(byte(c)) && !reserved(byte(c)) }) < 0 {
		return user
	}
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		c, escaped := user[i], false
		if c == '%' && i+2 < len(user) {
			if high, low := hexDigit(user[i+1]), hexDigit(user[i+2]); high >= 0 && low >= 0 {
				c, escaped = byte(high<<4|low), true
				i += 2
			}
		}
		if unreserved(c) || !escaped && reserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// unreserved is RFC 3261 §25.1's: alphanum and mark.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0
}

func reserved(c byte) bool { return strings.IndexByte(";/?:@&=+$,", c) >= 0 }

// hexDigit is a digit's value, -1 where it is none.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
