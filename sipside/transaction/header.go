package transaction

import (
	"net/netip"
	"slices"
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
		h.Params = tidyParams(h.Params)
	case *sip.FromHeader:
		h.Address.Host = strings.TrimRight(h.Address.Host, " \t")
		h.Params = tidyParams(h.Params)
	case *sip.ToHeader:
		h.Address.Host = strings.TrimRight(h.Address.Host, " \t")
		h.Params = tidyParams(h.Params)
	case *sip.ContactHeader:
		h.Address.Host = strings.TrimRight(h.Address.Host, " \t")
		h.Params = tidyParams(h.Params)
	case *sip.CSeqHeader:
		h.MethodName = sip.RequestMethod(strings.Trim(string(h.MethodName), " \t"))
	}
}

func tidyParams(params sip.HeaderParams) sip.HeaderParams {
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
	return slices.DeleteFunc(params, func(kv sip.HeaderKV) bool { return kv.K == "" && kv.V == "" })
}

// sound refuses what sipgo's lenient parsers let through and its writer would turn into something else.
func sound(h sip.Header) bool {
	switch h := h.(type) {
	case *sip.ViaHeader:
		return soundVia(h)
	case *sip.FromHeader:
		return soundURI(&h.Address) && soundParams(h.Params)
	case *sip.ToHeader:
		return soundURI(&h.Address) && soundParams(h.Params)
	case *sip.ContactHeader:
		return h.Address.Wildcard || soundURI(&h.Address) && soundParams(h.Params)
	case *sip.RouteHeader:
		return soundURI(&h.Address)
	case *sip.RecordRouteHeader:
		return soundURI(&h.Address)
	case *sip.ReferToHeader:
		return soundURI(&h.Address)
	case *sip.ReferredByHeader:
		return soundURI(&h.Address) && soundParams(h.Params)
	}
	return true
}

func soundVia(v *sip.ViaHeader) bool {
	return strings.EqualFold(v.ProtocolName, "SIP") && v.ProtocolVersion == "2.0" && isToken(v.Transport) &&
		soundHost(v.Host) && v.Port >= 0 && v.Port < 1<<16 && soundParams(v.Params)
}

func soundURI(u *sip.Uri) bool {
	switch u.Scheme {
	case "sip", "sips":
		return soundHost(u.Host) && u.Port >= 0 && u.Port < 1<<16 && !strings.ContainsAny(u.User+u.Password, " \t<>\"") &&
			soundParams(u.UriParams) && soundParams(u.Headers)
	}
	return isToken(u.Scheme) && u.Raw() != "" && !strings.ContainsAny(u.Raw(), " \t<>\"")
}

func soundHost(host string) bool {
	bare, bracket := strings.CutPrefix(host, "[")
	if bracket {
		bare = strings.TrimSuffix(bare, "]")
	}
	if strings.Contains(bare, ":") {
		addr, err := netip.ParseAddr(bare)
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

func soundParams(params sip.HeaderParams) bool {
	for _, kv := range params {
		if kv.K == "" || strings.ContainsAny(kv.K, " \t<>\"=;,?") || strings.Count(kv.V, "\"")%2 != 0 {
			return false
		}
	}
	return true
}
