package transaction

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ParseURI reads a URI as Parse does, false where it is none.
func ParseURI(text string, uri *sip.Uri) bool { return parseURI(text, uri) }

// URI is a URI's text, as Append writes it.
func URI(uri *sip.Uri) string {
	var room [128]byte
	return string(appendURI(room[:0], uri))
}

// parseURI reads a URI (RFC 3261 §19.1, §25.1): what sipgo's reader makes of a user part with separators, or of white space,
// is another address than the one that was meant. A sip or sips URI comes in its parts, any other as sipgo keeps it.
func parseURI(s string, uri *sip.Uri) bool {
	if strings.ContainsAny(s, " \t\r\n<>\"") {
		return false
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) || rest == "" {
		return false
	}
	*uri = sip.Uri{Scheme: strings.ToLower(scheme)}
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		err := sip.ParseUri("other:"+rest, uri) // it takes letters alone for a scheme
		uri.Scheme = strings.ToLower(scheme)
		return err == nil
	}
	rest, uri.HierarhicalSlashes = strings.CutPrefix(rest, "//")
	// Neither host nor parameters may hold a bare "@", while the user part may hold each of their separators.
	if user, behind, has := strings.Cut(rest, "@"); has {
		uri.User, uri.Password, _ = strings.Cut(user, ":")
		rest = behind
	}
	return parseHostPort(rest, uri)
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		alpha := c >= 'a' && c <= 'z'
		if !alpha && (i == 0 || !(s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.')) {
			return false
		}
	}
	return s != ""
}

// parseHostPort reads what follows the user part: host, port, parameters, headers.
func parseHostPort(s string, uri *sip.Uri) bool {
	s, headers, hasHeaders := strings.Cut(s, "?")
	hostPort, params, _ := strings.Cut(s, ";")
	var ok bool
	if uri.Host, uri.Port, ok = cutPort(hostPort); !ok {
		return false
	}
	uri.UriParams, ok = uriParams(params, ";")
	if !ok {
		return false
	}
	if hasHeaders {
		uri.Headers, ok = uriParams(headers, "&")
	}
	return ok
}

// cutPort parts host and port; port is 0 where there is none.
func cutPort(s string) (host string, port int, ok bool) {
	host, digits, has := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, false
		}
		host, digits = s[:end+1], s[end+1:]
		if digits, has = strings.CutPrefix(trim(digits), ":"); !has && digits != "" {
			return "", 0, false
		}
	} else {
		host, digits, has = strings.Cut(s, ":")
	}
	host = trimRight(host)
	if !has {
		return host, 0, soundHost(host)
	}
	n, err := strconv.ParseUint(trim(digits), 10, 16)
	return host, int(n), err == nil && soundHost(host)
}

func uriParams(s, separator string) (sip.HeaderParams, bool) {
	if s == "" {
		return nil, true
	}
	n := 1 + strings.Count(s, separator)
	if n > maxParams {
		return nil, false
	}
	params := make(sip.HeaderParams, 0, n)
	for item := range strings.SplitSeq(s, separator) {
		name, value, _ := strings.Cut(item, "=")
		if name == "" && value == "" {
			continue
		}
		if name == "" {
			return nil, false
		}
		params = append(params, sip.HeaderKV{K: name, V: value})
	}
	return params, true
}

// soundHost takes a name, an IPv4 address, or an IPv6 address with or without brackets.
func soundHost(host string) bool {
	bare, bracket := strings.CutPrefix(host, "[")
	if bracket {
		bare, bracket = strings.CutSuffix(bare, "]")
		if !bracket {
			return false
		}
	}
	if strings.Contains(bare, ":") {
		// RFC 3261's grammar makes three colons before an embedded IPv4 address; RFC 5118 §4.10 wants both understood.
		addr, err := netip.ParseAddr(strings.Replace(bare, ":::", "::", 1))
		return err == nil && addr.Zone() == ""
	}
	for i := range len(bare) {
		c := bare[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return bare != "" && !bracket
}
