package transaction

import (
	"strconv"
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

// listed names the headers whose values are parted at commas, each of them a header.
func listed(lower string) bool {
	switch lower {
	case "via", "contact", "route", "record-route":
		return true
	}
	return false
}

// parseHeader reads one header line's values into sipgo's types. ok is false where something of it is malformed; list then
// holds what could be read, and a header that a response must echo as it stands.
func parseHeader(name, lower, value string) (list []sip.Header, ok bool) {
	value = strings.Trim(value, " \t")
	switch lower {
	case "via":
		return parseVias(value)
	case "contact", "route", "record-route", "refer-to", "referred-by", "from", "to":
		return parseAddresses(name, lower, value)
	case "call-id":
		id := sip.CallIDHeader(value)
		return []sip.Header{&id}, value != "" && !strings.ContainsAny(value, " \t")
	case "cseq":
		return parseCSeq(value)
	case "max-forwards":
		n, err := strconv.ParseUint(value, 10, 8) // 0 to 255 (RFC 3261 §20.22)
		hops := sip.MaxForwardsHeader(n)
		return []sip.Header{&hops}, err == nil
	case "content-length":
		n, err := strconv.ParseUint(value, 10, 32)
		length := sip.ContentLengthHeader(n)
		return []sip.Header{&length}, err == nil
	case "content-type":
		media, _, _ := strings.Cut(value, ";")
		kind, sub, _ := strings.Cut(media, "/")
		typ := sip.ContentTypeHeader(value)
		return []sip.Header{&typ}, isToken(strings.Trim(kind, " \t")) && isToken(strings.Trim(sub, " \t"))
	}
	return []sip.Header{sip.NewHeader(name, value)}, true
}

func parseVias(value string) (list []sip.Header, ok bool) {
	ok = true
	for _, item := range split(value, ',') {
		v, sound := parseVia(item)
		if v != nil {
			list = append(list, v)
		}
		ok = ok && sound
	}
	return list, ok
}

// parseCSeq reads number and method; the number is below 2^31 (RFC 3261 §8.1.1.5).
func parseCSeq(value string) ([]sip.Header, bool) {
	number, method, _ := strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
	method = strings.Trim(method, " ")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || !isToken(method) {
		return []sip.Header{sip.NewHeader("CSeq", value)}, false
	}
	return []sip.Header{&sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(method)}}, true
}

func parseAddresses(name, lower, value string) (list []sip.Header, ok bool) {
	if lower == "contact" && value == "*" {
		return []sip.Header{&sip.ContactHeader{Address: sip.Uri{Wildcard: true, Host: "*"}}}, true
	}
	items := []string{value}
	if lower == "contact" || lower == "route" || lower == "record-route" {
		items = split(value, ',')
	}
	for _, item := range items {
		a, sound := parseAddress(item)
		if !sound {
			if lower == "from" || lower == "to" {
				list = append(list, sip.NewHeader(name, value))
			}
			return list, false
		}
		list = append(list, a.header(lower))
	}
	return list, true
}

func (a address) header(lower string) sip.Header {
	switch lower {
	case "from":
		return &sip.FromHeader{DisplayName: a.display, Address: a.uri, Params: a.params}
	case "to":
		return &sip.ToHeader{DisplayName: a.display, Address: a.uri, Params: a.params}
	case "contact":
		return &sip.ContactHeader{DisplayName: a.display, Address: a.uri, Params: a.params}
	case "route":
		return &sip.RouteHeader{Address: a.uri}
	case "record-route":
		return &sip.RecordRouteHeader{Address: a.uri}
	case "refer-to":
		return &sip.ReferToHeader{Address: a.uri}
	}
	return &sip.ReferredByHeader{DisplayName: a.display, Address: a.uri, Params: a.params}
}
