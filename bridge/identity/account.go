package identity

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Account is the gateway's own credentials at a peer. It remembers the peer's nonces, so that not every request is challenged
// (RFC 7616 §3.4, RFC 3261 §22.1). Safe for concurrent use.
type Account struct {
	username, password string

	mu     sync.Mutex
	nonces map[purpose]*used // guarded by mu
}

// purpose is what a nonce was asked for: registrars and proxies of one peer have their own.
type purpose int

const (
	forRegister purpose = iota
	forOthers
)

func purposeOf(method string) purpose {
	if method == string(sip.REGISTER) {
		return forRegister
	}
	return forOthers
}

// used is a challenge that was answered.
type used struct {
	answers   string // the header
	challenge *digest.Challenge
	count     int
}

// NewAccount knows no nonces.
func NewAccount(username, password string) *Account {
	return &Account{username: username, password: password, nonces: map[purpose]*used{}}
}

// Is says whether it is the account of these credentials.
func (a *Account) Is(username, password string) bool {
	return a.username == username && a.password == password
}

// Answer gives the header that answers the strongest challenge of a 401 or 407 that can be answered: SHA-512-256, SHA-256, MD5
// (RFC 8760 §2.3), with qop auth, auth-int (of which body is the message body) or none. uri is the Request-URI byte for byte.
// ErrNoUsableChallenge where there is none.
func (a *Account) Answer(res *sip.Response, method, uri string, body []byte) (sip.Header, error) {
	answers, best := strongest(res)
	if best == nil {
		return nil, ErrNoUsableChallenge
	}
	a.mu.Lock()
	delete(a.nonces, purposeOf(method))
	if len(best.QOP) > 0 { // without qop a nonce may be good once
		a.nonces[purposeOf(method)] = &used{answers: answers, challenge: best, count: 1}
	}
	a.mu.Unlock()
	return a.credentials(answers, best, 1, method, uri, body)
}

// Ahead gives the header that answers the next challenge before it is made, by the nonce that was asked for last; nil where there is
// none.
func (a *Account) Ahead(method, uri string, body []byte) sip.Header {
	a.mu.Lock()
	last := a.nonces[purposeOf(method)]
	if last == nil {
		a.mu.Unlock()
		return nil
	}
	last.count++
	count := last.count
	a.mu.Unlock()
	h, err := a.credentials(last.answers, last.challenge, count, method, uri, body)
	if err != nil {
		return nil
	}
	return h
}

func (a *Account) credentials(answers string, ch *digest.Challenge, count int, method, uri string, body []byte) (sip.Header, error) {
	cred, err := digest.Digest(ch, digest.Options{
		Method: method, URI: uri, Count: count, Username: a.username, Password: a.password,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return sip.NewHeader(answers, cred.String()), nil
}

// strongest is the best challenge of a response that can be answered, and the header that answers it; nil where there is none.
func strongest(res *sip.Response) (answers string, best *digest.Challenge) {
	asks, answers := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		asks, answers = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(asks) {
		for _, c := range parse(h.Value()) {
			ch, err := digest.ParseChallenge(c.raw)
			if err != nil {
				continue
			}
			ch.QOP = qopList(strings.Join(ch.QOP, ","))
			if strength(ch) > strength(best) {
				best = ch
			}
		}
	}
	return answers, best
}

// strength orders challenges; 0 is one that cannot be answered.
func strength(c *digest.Challenge) int {
	if c == nil || c.Nonce == "" || len(c.QOP) > 0 && !c.SupportsQOP("auth") && !c.SupportsQOP("auth-int") {
		return 0
	}
	return algorithmOf(c.Algorithm).strength()
}
