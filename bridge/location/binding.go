// Package location keeps bindings: an address of record with its flows, live or dormant.
package location

import "time"

// Binding is one contact of an address of record. Plain value.
type Binding struct {
	AOR           string // canonical address of record: sip:user@domain, lower-case host
	Token         string // our Contact's user part: a keyed hash of address of record, instance and reg-id
	Contact       string // the client's own Contact URI, verbatim
	ContactParams string // its header parameters, verbatim, without the leading semicolon
	Instance      string // +sip.instance without quotes and angle brackets, "" where not given
	RegID         string
	Flow          string // the browser's connection; "" while dormant
	LastFlow      string // while dormant: the connection that was lost
	Backend       string // the member that registered it
	Behind        bool   // no browser's: a phone that is reached through Backend
	Path          string // towards such a phone (RFC 3327), one hop a line
	Tenant        string
	Expires       time.Time
	CallID        string // of the browser's REGISTER
	CSeq          uint32
}

// Store keeps bindings. It is safe for concurrent use.
type Store interface {
	// Put stores a binding under its token, and gives the one that it replaced. A binding that has expired already replaces
	// the old one and is not kept.
	Put(b Binding) (replaced Binding, had bool)
	// ByToken finds the binding of a Contact's user part.
	ByToken(token string) (Binding, bool)
	// ByAOR gives the bindings of an address of record, the one put last first.
	ByAOR(aor string) []Binding
	// ByFlow gives the bindings of a live flow, the one put last first; the empty flow has none.
	ByFlow(flow string) []Binding
	// Remove forgets a binding; an unknown token is no error.
	Remove(token string)
	// Len counts the bindings, dormant ones included.
	Len() int
}
