// Package location keeps bindings: an address of record with its flows, live or dormant.
package location

import (
	"time"
)

// Binding is one contact of an address of record. Plain value.
type Binding struct {
	AOR           string // canonical address of record: sip:user@domain, lower-case host
	Token         string // our Contact's user part: a keyed hash of address of record, instance and reg-id
	Contact       string // the client's own Contact URI, verbatim
	ContactParams string // its header parameters, verbatim
	Instance      string // +sip.instance, "" where not given
	RegID         string
	Flow          string // the browser's connection; "" while dormant
	Backend       string // the member that registered it
	Tenant        string
	Expires       time.Time
	CallID        string // of the browser's REGISTER
	CSeq          uint32
}

// Store keeps bindings; a Redis one is a later issue.
type Store interface {
	Put(b Binding) (replaced Binding, had bool)
	ByToken(token string) (Binding, bool)
	ByAOR(aor string) []Binding
	ByFlow(flow string) []Binding
	Remove(token string)
}

// NewMemory is the Store of one process; now is its clock. Expired bindings are never returned, and are swept.
func NewMemory(now func() time.Time) *Memory { panic("skeleton") }

// Memory is a Store in memory.
type Memory struct{}

func (m *Memory) Put(b Binding) (Binding, bool)        { panic("skeleton") }
func (m *Memory) ByToken(token string) (Binding, bool) { panic("skeleton") }
func (m *Memory) ByAOR(aor string) []Binding           { panic("skeleton") }
func (m *Memory) ByFlow(flow string) []Binding         { panic("skeleton") }
func (m *Memory) Remove(token string)                  { panic("skeleton") }
func (m *Memory) Len() int                             { panic("skeleton") }

var _ Store = (*Memory)(nil)
