package hiding

import "strings"

// uri is a sip or sips URI in its parts.
type uri struct {
	scheme, user, host, port, params, headers string // with their separators, but for user and host
}

// cutURI parts a URI (RFC 3261 §19.1.1); false for one of another scheme.
func cutURI(text string) (u uri, ok bool) {
	text = strings.TrimSpace(text)
	scheme, rest, has := strings.Cut(text, ":")
	if !has || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return u, false
	}
	u.scheme = scheme + ":"
	if user, behind, has := strings.Cut(rest, "@"); has {
		u.user, rest = user, behind
	}
	if at := strings.IndexByte(rest, '?'); at >= 0 {
		rest, u.headers = rest[:at], rest[at:]
	}
	if at := strings.IndexByte(rest, ';'); at >= 0 {
		rest, u.params = rest[:at], rest[at:]
	}
	u.host = rest
	if end := strings.LastIndexByte(rest, ':'); end > strings.LastIndexByte(rest, ']') {
		u.host, u.port = rest[:end], rest[end:]
	}
	return u, true
}

// write gives the URI without a hidden host. A name without a dot is one of a network's own.
func (v *Veil) write(u uri) string {
	host := plain(u.host)
	if v.Hides(host) || v.Domain != "" && !strings.ContainsAny(host, ".:") && host != strings.ToLower(v.Domain) {
		u.host, u.port = v.Domain, ""
		u.params = kept(u.params)
	}
	out := u.scheme
	if u.user != "" {
		out += v.text(u.user, v.Domain) + "@"
	}
	return out + v.text(u.host+u.port, v.Domain) + v.text(u.params, v.Domain) + v.text(u.headers, v.Domain)
}

// kept are the parameters that are about the user and not about the host.
func kept(params string) string {
	out := ""
	for param := range strings.SplitSeq(params, ";") {
		switch name, _, _ := strings.Cut(param, "="); strings.ToLower(name) {
		case "user", "cpc", "isub", "phone-context":
			out += ";" + param
		}
	}
	return out
}
