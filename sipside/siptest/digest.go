package siptest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// nonceLife is how long a nonce may be used.
const nonceLife = 5 * time.Minute

// nonces are those that a PBX has given out, each with the highest count seen (RFC 7616 §3.4: nc).
type nonces struct {
	mu sync.Mutex
	// guarded by mu
	known map[string]*nonce
}

type nonce struct {
	born  time.Time
	count int
}

func newNonces() *nonces { return &nonces{known: make(map[string]*nonce)} }

func (n *nonces) issue() string {
	value := sip.GenerateTagN(32)
	n.mu.Lock()
	defer n.mu.Unlock()
	for old, state := range n.known {
		if time.Since(state.born) > nonceLife {
			delete(n.known, old)
		}
	}
	n.known[value] = &nonce{born: time.Now()}
	return value
}

// use says whether a nonce is good for this count.
func (n *nonces) use(value string, count int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	state := n.known[value]
	if state == nil || time.Since(state.born) > nonceLife || count <= state.count {
		return false
	}
	state.count = count
	return true
}

// admitted lets a user in, or answers with a challenge or a refusal.
func (p *PBX) admitted(in *Incoming, user string) bool {
	if p.cfg.AnyUser {
		return true
	}
	password, known := p.cfg.Users[user]
	stale := false
	for _, h := range in.Request().GetHeaders("Authorization") {
		c, err := digest.ParseCredentials(h.Value())
		if err != nil || c.Realm != p.cfg.Realm {
			continue
		}
		if !known || c.Username != user || !strings.EqualFold(c.Response, expected(c, string(in.Request().Method), password)) {
			p.respond(in, Reply{Status: sip.StatusForbidden})
			return false
		}
		if p.nonces.use(c.Nonce, c.Nc) {
			return true
		}
		stale = true
	}
	challenge := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"`, p.cfg.Realm, p.nonces.issue())
	if stale {
		challenge += ", stale=true"
	}
	p.respond(in, Reply{Status: sip.StatusUnauthorized, Headers: []sip.Header{sip.NewHeader("WWW-Authenticate", challenge)}})
	return false
}

// expected is the right response to what the client says it answers (RFC 2617 §3.2.2.1), MD5 and qop auth only.
func expected(c *digest.Credentials, method, password string) string {
	a1 := md5hex(c.Username + ":" + c.Realm + ":" + password)
	a2 := md5hex(method + ":" + c.URI)
	if c.QOP != "auth" {
		return ""
	}
	return md5hex(fmt.Sprintf("%s:%s:%08x:%s:%s:%s", a1, c.Nonce, c.Nc, c.Cnonce, c.QOP, a2))
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
