package bridge

import "strings"

// sessionIDOf is the local half of a Session-ID header (RFC 7989 §5), "" where it is missing, nil or malformed.
func sessionIDOf(value string) string {
	id, _, _ := strings.Cut(value, ";")
	id = strings.ToLower(strings.TrimSpace(id))
	if len(id) != 32 || id == nilSessionID || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return strings.Clone(id) // or it would hold the message
}
