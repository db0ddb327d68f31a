package transaction

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// longName expands compact header names (RFC 3261 §7.3.3 and the registry of header fields).
func longName(name string) string {
	if len(name) != 1 {
		return name
	}
	switch name[0] | 0x20 {
	case 'a':
		return "Accept-Contact"
	case 'b':
		return "Referred-By"
	case 'c':
		return "Content-Type"
	case 'd':
		return "Request-Disposition"
	case 'e':
		return "Content-Encoding"
	case 'f':
		return "From"
	case 'i':
		return "Call-ID"
	case 'j':
		return "Reject-Contact"
	case 'k':
		return "Supported"
	case 'l':
		return "Content-Length"
	case 'm':
		return "Contact"
	case 'o':
		return "Event"
	case 'r':
		return "Refer-To"
	case 's':
		return "Subject"
	case 't':
		return "To"
	case 'u':
		return "Allow-Events"
	case 'v':
		return "Via"
	case 'x':
		return "Session-Expires"
	case 'y':
		return "Identity"
	}
	return name
}

// single names the headers that a message carries once: two of them mean two things to two elements.
func single(lower string) bool {
	switch lower {
	case "from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type":
		return true
	}
	return false
}

// tidy repairs what sipgo's parsers keep of legal white space and letter case.
func tidy(h sip.Header) {
	switch h := h.(type) {
	case *sip.ViaHeader:
		tidyParams(h.Params)
	case *sip.FromHeader:
		h.Address.Host = strings.TrimRight(h.Address.Host, " \t")
		tidyParams(h.Params)
	case *sip.ToHeader:
		h.Address.Host = strings.TrimRight(h.Address.Host, " \t")
		tidyParams(h.Params)
	case *sip.CSeqHeader:
		h.MethodName = sip.RequestMethod(strings.Trim(string(h.MethodName), " \t"))
	}
}

func tidyParams(params sip.HeaderParams) {
	for i := range params {
		kv := &params[i]
		kv.K = strings.Trim(kv.K, " \t")
		kv.V = strings.Trim(kv.V, " \t")
		for _, known := range []string{"tag", "branch", "rport", "received"} {
			if strings.EqualFold(kv.K, known) {
				kv.K = known
			}
		}
	}
}
