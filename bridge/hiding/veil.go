// Package hiding keeps the names and addresses of one side's network from the other side; pure.
package hiding

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Nowhere stands in texts for a host that is hidden (RFC 3323 §4.1.1.3 names hosts so).
const Nowhere = "anonymous.invalid"

// Veil is how what one side says reaches a peer outside. The nil Veil hides nothing.
type Veil struct {
	Hides  func(host string) bool   // of an address without brackets, or of a name in lower case
	Domain string                   // stands for hidden hosts in the addresses of users
	Number func(user string) string // writes the users of headers that name others than caller and callee; nil: as they are
	Strip  []string                 // headers that stay behind, in lower case; a * at the end stands for any end
}

var vendors = []string{"x-asterisk-*", "x-fs-*", "x-freeswitch-*", "x-kamailio-*", "x-opensips-*"}

// Vendors are the headers of backends' own software, which nobody outside needs to know, as Strip has them.
func Vendors() []string { return vendors }

// Headers gives the headers as the peer may see them. What stays as it is stays the same value.
func (v *Veil) Headers(hs []sip.Header) []sip.Header {
	if v == nil {
		return hs
	}
	var out []sip.Header
	for _, h := range hs {
		lower := sip.HeaderToLower(h.Name())
		if v.strips(lower) {
			continue
		}
		was := h.Value()
		if now := v.value(lower, was); now != was {
			h = sip.NewHeader(h.Name(), now)
		}
		out = append(out, h)
	}
	return out
}

func (v *Veil) strips(lower string) bool {
	for _, pattern := range v.Strip {
		if begin, any := strings.CutSuffix(pattern, "*"); lower == pattern || any && strings.HasPrefix(lower, begin) {
			return true
		}
	}
	return false
}

// NamesOthers says which headers hold addresses of users beside caller and callee; lower is the header's name in lower case.
func NamesOthers(lower string) bool {
	switch lower {
	case "diversion", "history-info", "p-asserted-identity", "remote-party-id", "p-associated-uri", "p-called-party-id", "referred-by", "reply-to":
		return true
	}
	return false
}

func (v *Veil) value(lower, value string) string {
	switch {
	case NamesOthers(lower):
		return v.addresses(value)
	case lower == "warning":
		return v.warnings(value)
	case strings.HasSuffix(lower, "authorization") || strings.HasSuffix(lower, "authenticate"): // digest covers what they say
		return value
	}
	return v.Text(value)
}

// Renumber writes the users of a list of name-addr or addr-spec by number.
func Renumber(value string, number func(user string) string) string {
	v := &Veil{Hides: func(string) bool { return false }, Number: number}
	return v.addresses(value)
}

// addresses writes a list of name-addr or addr-spec.
func (v *Veil) addresses(value string) string {
	items := split(value, ',')
	for i, item := range items {
		items[i] = v.address(item)
	}
	return strings.Join(items, ",")
}

func (v *Veil) address(item string) string {
	open := find(item, '<')
	if open < 0 {
		spec, params, has := strings.Cut(item, ";")
		if has {
			params = ";" + v.text(params, v.Domain)
		}
		return v.named(spec) + params
	}
	spec, behind, _ := strings.Cut(item[open+1:], ">")
	return v.text(item[:open], v.Domain) + "<" + v.named(spec) + ">" + v.text(behind, v.Domain)
}

// named is the URI of a user with the number as the peer wants it.
func (v *Veil) named(text string) string {
	u, ok := cutURI(text)
	if !ok {
		return v.text(text, v.Domain)
	}
	if v.Number != nil && u.user != "" {
		u.user = v.Number(u.user)
	}
	return v.write(u)
}

// URI is the URI of a user as the peer may see it: a hidden host becomes Domain, and what belonged to that host goes.
func (v *Veil) URI(text string) string {
	if v == nil {
		return text
	}
	u, ok := cutURI(text)
	if !ok {
		return v.text(text, v.Domain)
	}
	return v.write(u)
}

// Addressed is a header's value with one address, such as Refer-To's.
func (v *Veil) Addressed(value string) string {
	if v == nil {
		return value
	}
	return v.address(value)
}

// Under is the veil with another domain.
func (v *Veil) Under(domain string) *Veil {
	if v == nil {
		return nil
	}
	other := *v
	other.Domain = domain
	return &other
}

// warnings writes a Warning (RFC 3261 §20.43): who warns is we.
func (v *Veil) warnings(value string) string {
	items := split(value, ',')
	for i, item := range items {
		code, rest, _ := strings.Cut(strings.TrimSpace(item), " ")
		_, text, ok := strings.Cut(strings.TrimSpace(rest), " ")
		if ok {
			items[i] = v.Text(code) + " " + v.Domain + " " + v.Text(text)
		} else {
			items[i] = v.Text(item)
		}
	}
	return strings.Join(items, ", ")
}

// Reasons writes a Reason (RFC 3326). Protocols that nobody registered are a software's own.
func (v *Veil) Reasons(value string) string {
	if v == nil {
		return value
	}
	var kept []string
	for _, item := range split(value, ',') {
		protocol, _, _ := strings.Cut(strings.TrimSpace(item), ";")
		switch strings.ToLower(strings.TrimSpace(protocol)) {
		case "sip", "q.850", "preemption", "stir", "emm", "5gmm", "release_cause", "fail", "s1ap", "ngap":
			kept = append(kept, v.Text(strings.TrimSpace(item)))
		}
	}
	return strings.Join(kept, ", ")
}

// Body is a body about users and calls without hidden hosts; what users write each other is theirs.
func (v *Veil) Body(kind string, body []byte) []byte {
	if v == nil || len(body) == 0 || !tells(kind) {
		return body
	}
	was := string(body)
	if now := v.text(was, v.Domain); now != was {
		return []byte(now)
	}
	return body
}

// tells says whether a body of this type is written by the network's elements.
func tells(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "application/simple-message-summary", "message/sipfrag", "message/sip":
		return true
	}
	return strings.HasSuffix(kind, "+xml") || strings.HasPrefix(kind, "multipart/")
}
