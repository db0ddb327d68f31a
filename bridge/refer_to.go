package bridge

import (
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// referTo is where a REFER points (RFC 3515 §2.1).
type referTo struct {
	value    string // the header's, as it came
	uri      sip.Uri
	replaces *replaces    // of the URI's headers (RFC 3891); nil: none
	headers  []sip.Header // what else of them an INVITE may carry
}

// kind is the transfer's in records and logs.
func (t referTo) kind() string {
	if t.replaces != nil {
		return "attended"
	}
	return "blind"
}

// bare is the URI without its headers.
func (t referTo) bare() string { return t.uri.String() }

// referToOf reads a REFER's Refer-To; bad says how to refuse one that cannot be followed.
func referToOf(req *sip.Request) (to referTo, r reply, bad bool) {
	all := append(req.GetHeaders("Refer-To"), req.GetHeaders("r")...)
	if len(all) != 1 {
		return referTo{}, reply{status: 400, why: "a REFER has one Refer-To"}, true
	}
	to.value = all[0].Value()
	if _, err := sip.ParseAddressValue(to.value, &to.uri, nil); err != nil || !oneLine(to.value) {
		return referTo{}, reply{status: 400, why: "Refer-To is malformed"}, true
	}
	switch to.uri.Scheme {
	case "sip", "sips", "tel":
	default:
		return referTo{}, reply{status: 416, why: "Refer-To of scheme " + to.uri.Scheme}, true
	}
	if method := to.uri.UriParams.GetOr("method", "INVITE"); !strings.EqualFold(method, "INVITE") {
		return referTo{}, reply{status: 501, why: "a REFER to " + method}, true
	}
	to.uri.UriParams.Remove("method")
	for _, h := range to.uri.Headers {
		value, err := url.PathUnescape(h.V)
		if err != nil || !oneLine(value) || !oneLine(h.K) {
			return referTo{}, reply{status: 400, why: "Refer-To has a malformed header"}, true
		}
		if !strings.EqualFold(h.K, "Replaces") {
			to.headers = append(to.headers, sip.NewHeader(h.K, value))
			continue
		}
		named, err := parseReplaces(value)
		if err != nil || to.replaces != nil {
			return referTo{}, reply{status: 400, why: errReplaces.Error()}, true
		}
		to.replaces = &named
	}
	to.headers = crossing(to.headers)
	to.uri.Headers = nil
	return to, reply{}, false
}

// naming is a Refer-To to a URI with a Replaces.
func naming(uri string, r replaces) string {
	return "<" + uri + "?Replaces=" + url.QueryEscape(r.String()) + ">"
}
