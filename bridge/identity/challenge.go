package identity

import (
	"errors"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ErrNoUsableChallenge is a 401 or 407 that offers neither MD5 nor qop auth: 403 to the browser, and a log line that names vouch.
var ErrNoUsableChallenge = errors.New("identity: no MD5 challenge with qop auth or none; the browser cannot answer it (use register: vouch)")

// ForBrowser gives the challenge headers that may pass to a browser: only the MD5 one, auth-int struck from its qop list,
// qop never added; and the nonce that it carries. It looks at WWW-Authenticate in a 401 and at Proxy-Authenticate in a 407, as
// the browsers' libraries do, and takes the first challenge that they can answer, in bytes as it came but for what is struck.
func ForBrowser(res *sip.Response) (headers []sip.Header, nonce string, err error) {
	name := "WWW-Authenticate"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		name = "Proxy-Authenticate"
	}
	for _, h := range res.GetHeaders(name) {
		for _, c := range parse(h.Value()) {
			if c, ok := c.forBrowser(); ok {
				return []sip.Header{sip.NewHeader(name, c.raw)}, c.value("nonce"), nil
			}
		}
	}
	return nil, "", ErrNoUsableChallenge
}

// forBrowser gives the challenge as a browser's library can answer it; false where none can.
func (c challenge) forBrowser() (challenge, bool) {
	if !strings.EqualFold(c.scheme, "Digest") || c.value("nonce") == "" || c.find("realm") < 0 {
		return c, false
	}
	if i := c.find("algorithm"); i >= 0 {
		if !strings.EqualFold(c.params[i].value(), "MD5") {
			return c, false
		}
		if c.params[i].raw != "MD5" {
			c = c.set("algorithm", "MD5") // JsSIP compares to the letter
		}
	}
	i := c.find("qop")
	if i < 0 {
		return c, true
	}
	switch list := qopList(c.params[i].value()); {
	case len(list) == 0:
		return c.without("qop"), true
	case len(list) == 1 && list[0] == "auth":
		return c, true
	default:
		for _, q := range list {
			if strings.EqualFold(q, "auth") {
				return c.set("qop", `"auth"`), true
			}
		}
		return c, false
	}
}

func qopList(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// Stale gives challenge headers again with stale=true, which tells a client that its password was not the fault: so it is
// challenged anew after the member that issued its nonce died. Headers that hold no Digest challenge stay as they are.
func Stale(headers []sip.Header) []sip.Header {
	again := make([]sip.Header, len(headers))
	for i, h := range headers {
		again[i] = h
		all := parse(h.Value())
		if len(all) == 0 {
			continue
		}
		texts := make([]string, len(all))
		for j, c := range all {
			if strings.EqualFold(c.scheme, "Digest") {
				c = c.set("stale", "true")
			}
			texts[j] = c.raw
		}
		again[i] = sip.NewHeader(h.Name(), strings.Join(texts, ", "))
	}
	return again
}

// NonceOf is the nonce of a request's Authorization or Proxy-Authorization; "" where it has none, as in a request without
// credentials or with those of another scheme (Bearer).
func NonceOf(req *sip.Request) string { return parameterOf(req, "nonce") }

// UserOf is the user whom a request's credentials name, proven or not; "" where it has none.
func UserOf(req *sip.Request) string { return parameterOf(req, "username") }

// parameterOf is a parameter of a request's Digest credentials.
func parameterOf(req *sip.Request, parameter string) string {
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, h := range req.Headers() {
			if !strings.EqualFold(h.Name(), name) {
				continue
			}
			for _, c := range parse(h.Value()) {
				if value := c.value(parameter); value != "" && strings.EqualFold(c.scheme, "Digest") {
					return value
				}
			}
		}
	}
	return ""
}
