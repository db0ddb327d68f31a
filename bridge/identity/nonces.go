package identity

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// Issuer is who challenged: the member, and the leg to answer an INVITE's challenge on. Plain value.
type Issuer struct {
	Backend string // sipside.Backend.Name
	CallID  string // of our leg towards it; "": there is none to go on with (a REGISTER's challenge, or it is claimed)
	FromTag string
	CSeq    uint32 // the last one used there
}

// Nonces is a bounded, expiring map from nonce to Issuer. Safe for concurrent use. Each call takes constant time but for the
// entries that it drops, each once.
type Nonces struct {
	limit int // static after construction
	age   time.Duration
	now   func() time.Time

	mu      sync.Mutex // guards what follows
	byNonce map[string]*list.Element
	byAge   list.List // of remembered, the oldest first
}

type remembered struct {
	nonce string
	by    Issuer
	at    time.Time
}

// NewNonces bounds the map by entries and age; the oldest goes first. A limit below 1 remembers nothing.
func NewNonces(limit int, age time.Duration, now func() time.Time) *Nonces {
	return &Nonces{limit: limit, age: age, now: now, byNonce: map[string]*list.Element{}}
}

// Put remembers who issued a nonce; again for the same nonce, it replaces the issuer and the age starts anew.
func (n *Nonces) Put(nonce string, by Issuer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old, ok := n.byNonce[nonce]; ok {
		n.drop(old)
	}
	// The clone lets go of the message that the nonce was cut from.
	nonce = strings.Clone(nonce)
	n.byNonce[nonce] = n.byAge.PushBack(remembered{nonce, by, n.now()})
	n.sweep()
}

// Get finds the issuer of a nonce.
func (n *Nonces) Get(nonce string) (Issuer, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweep()
	e, ok := n.byNonce[nonce]
	if !ok {
		return Issuer{}, false
	}
	return e.Value.(remembered).by, true
}

// Claim finds the issuer of a nonce and takes the leg for the caller: whoever asks after that gets the member alone, for one
// leg carries one INVITE.
func (n *Nonces) Claim(nonce string) (Issuer, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweep()
	e, ok := n.byNonce[nonce]
	if !ok {
		return Issuer{}, false
	}
	claimed := e.Value.(remembered)
	by := claimed.by
	claimed.by = Issuer{Backend: by.Backend}
	e.Value = claimed
	return by, true
}

// Len counts the nonces that are remembered.
func (n *Nonces) Len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweep()
	return n.byAge.Len()
}

// sweep drops what is too old or too many. The caller holds mu.
func (n *Nonces) sweep() {
	born := n.now().Add(-n.age)
	for e := n.byAge.Front(); e != nil; e = n.byAge.Front() {
		if n.byAge.Len() <= n.limit && e.Value.(remembered).at.After(born) {
			return
		}
		n.drop(e)
	}
}

func (n *Nonces) drop(e *list.Element) {
	delete(n.byNonce, n.byAge.Remove(e).(remembered).nonce)
}
