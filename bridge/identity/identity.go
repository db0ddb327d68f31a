// Package identity holds what the gateway does with digest (RFC 2617, RFC 7616, RFC 8760): it shows browsers one MD5
// challenge, and finds the backend that issued a nonce again. It computes no digest here: forward mode passes credentials through.
package identity

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
)

// ErrNoUsableChallenge is a 401 or 407 that offers neither MD5 nor qop auth: 403 to the browser, and a log line that names vouch.
var ErrNoUsableChallenge = errors.New("identity: no MD5 challenge with qop auth or none; the browser cannot answer it (use register: vouch)")

// ForBrowser gives the challenge headers that may pass to a browser: only the MD5 one, auth-int struck from its qop list,
// qop never added; and the nonce that it carries.
func ForBrowser(res *sip.Response) (headers []sip.Header, nonce string, err error) { panic("skeleton") }

// NonceOf is the nonce of a request's Authorization or Proxy-Authorization; "" where it has none.
func NonceOf(req *sip.Request) string { panic("skeleton") }

// Stale gives the challenge headers of a response again with stale=true and the given nonce (a dead member's client is challenged anew).
func Stale(headers []sip.Header) []sip.Header { panic("skeleton") }

// Issuer is who challenged: the member and the leg to answer on. Plain value.
type Issuer struct {
	Backend string // sipside.Backend.Name
	CallID  string // of our leg towards it
	FromTag string
	CSeq    uint32 // the last one used there
}

// Nonces is a bounded, expiring map from nonce to Issuer. Safe for concurrent use.
type Nonces struct{}

// NewNonces bounds the map by entries and age; the oldest goes first.
func NewNonces(limit int, age time.Duration, now func() time.Time) *Nonces { panic("skeleton") }

func (n *Nonces) Put(nonce string, by Issuer)     { panic("skeleton") }
func (n *Nonces) Get(nonce string) (Issuer, bool) { panic("skeleton") }
func (n *Nonces) Len() int                        { panic("skeleton") }
