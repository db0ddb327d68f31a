package bridge

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// crosses says which headers a message's other leg gets as they are: what the two users tell each other. What belongs to a leg
// (Via, Route, Contact, Supported, Session-Expires, Content-*, …), to a hop's trust (P-Charging-Vector) or to the
// software at the far end (User-Agent, Server) does not; the legs rebuild what they need. Reason, Identity and Session-ID have
// rules of their own in the call, credentials and challenges in challenge.go.
func crosses(lower string) bool {
	switch lower {
	case "accept-language", "alert-info", "answer-mode", "call-info", "date", "diversion", "error-info", "geolocation",
		"geolocation-error", "geolocation-routing", "history-info", "in-reply-to", "organization", "priority",
		"priv-answer-mode", "privacy", "referred-by", "reply-to", "retry-after", "subject", "user-to-user", "warning":
		return true
	}
	return strings.HasPrefix(lower, "x-") && lower != "x-verstat" // the gateway's own word
}

// asserts says which headers name a user on the word of the network (RFC 3325 §9.1, RFC 3455 §4.1 and their forerunner): a
// browser's word counts for nothing there.
func asserts(lower string) bool {
	switch lower {
	case "p-asserted-identity", "p-associated-uri", "p-called-party-id", "remote-party-id":
		return true
	}
	return false
}

// crossing gives clones of the headers that may cross to the other leg, in their order, whoever sent them.
func crossing(hs []sip.Header) []sip.Header {
	return pick(hs, crosses)
}

// crossingFromBackend is crossing for a message of a backend to a browser: it adds the identities that the backend asserts,
// but for those that the caller asked to keep private (RFC 3325 §9.3: Privacy: id).
func crossingFromBackend(hs []sip.Header) []sip.Header {
	if wantsPrivacy(hs) {
		return crossing(hs)
	}
	return crossingFromTrusted(hs)
}

// crossingFromTrusted is crossing with what the sender asserts.
func crossingFromTrusted(hs []sip.Header) []sip.Header {
	return pick(hs, func(lower string) bool { return crosses(lower) || asserts(lower) })
}

func pick(hs []sip.Header, want func(lower string) bool) []sip.Header {
	var out []sip.Header
	for _, h := range hs {
		if want(sip.HeaderToLower(h.Name())) && oneLine(h.Name()) && oneLine(h.Value()) {
			out = append(out, sip.HeaderClone(h))
		}
	}
	return out
}

// oneLine is false for text that would begin a header of its own; the parser lets none in.
func oneLine(text string) bool { return !strings.ContainsAny(text, "\r\n\x00") }

func wantsPrivacy(hs []sip.Header) bool {
	for _, h := range hs {
		if !strings.EqualFold(h.Name(), "Privacy") {
			continue
		}
		for _, item := range strings.FieldsFunc(h.Value(), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
			if strings.EqualFold(item, "id") || strings.EqualFold(item, "user") {
				return true
			}
		}
	}
	return false
}
