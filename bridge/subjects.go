package bridge

import (
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/wss"
)

// subjects remembers who the browsers' flows proved to be. Safe for concurrent use; there is an entry for each flow that proved
// anything, until it is gone.
type subjects struct {
	now func() time.Time // static after construction

	mu     sync.Mutex
	byFlow map[string]*flowSubjects // guarded by mu
}

// flowSubjects are the proofs of one flow.
type flowSubjects struct {
	byName map[string]identity.Subject
	end    *time.Timer // closes the flow when its token ends; nil where it came without
}

func newSubjects(now func() time.Time) *subjects {
	return &subjects{now: now, byFlow: map[string]*flowSubjects{}}
}

// policyViolation is the WebSocket close code of a flow whose token has ended (RFC 6455 §7.4.1).
const policyViolation = 1008

// prove notes a proof. With bounded the flow ends with it: a token lets nobody stay longer than it says; a newer token of
// anybody's on the flow puts the end off.
func (s *subjects) prove(c *wss.Conn, who identity.Subject, bounded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-c.Done(): // forget has come before
		return
	default:
	}
	f := s.byFlow[c.Flow()]
	if f == nil {
		f = &flowSubjects{byName: map[string]identity.Subject{}}
		s.byFlow[c.Flow()] = f
	}
	f.byName[who.Name] = who
	if bounded {
		c.Registered(who.Name)
	}
	if !bounded || who.Until.IsZero() {
		return
	}
	left := who.Until.Sub(s.now())
	if f.end == nil {
		f.end = time.AfterFunc(left, func() { c.Close(policyViolation, "the token has expired") })
	} else {
		f.end.Reset(left)
	}
}

// forget drops what a flow proved: it is gone.
func (s *subjects) forget(c *wss.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.byFlow[c.Flow()]; f != nil && f.end != nil {
		f.end.Stop()
	}
	delete(s.byFlow, c.Flow())
}

// of gives the proof of a flow for an address of record; any says whether the flow proved anything at all.
func (s *subjects) of(c *wss.Conn, aor string) (who identity.Subject, covered, any bool) {
	if upgraded, ok := c.Subject().(identity.Subject); ok {
		s.upgraded(c, upgraded)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byFlow[c.Flow()]
	if f == nil {
		return who, false, false
	}
	for name, proof := range f.byName {
		if !proof.Until.IsZero() && !proof.Until.After(s.now()) {
			delete(f.byName, name)
			continue
		}
		any = true
		if covers(proof, aor) {
			who, covered = proof, true
		}
	}
	return who, covered, any
}

// upgraded notes the token of the handshake with the flow's first request.
func (s *subjects) upgraded(c *wss.Conn, who identity.Subject) {
	s.mu.Lock()
	known := s.byFlow[c.Flow()] != nil
	s.mu.Unlock()
	if !known {
		s.prove(c, who, true)
	}
}

// covers says whether somebody is the user of an address of record; a name without a domain is that user's at any.
func covers(who identity.Subject, aor string) bool {
	user, domain, whole := who.Name, "", false
	if at := strings.LastIndexByte(who.Name, '@'); at >= 0 {
		user, domain, whole = who.Name[:at], who.Name[at+1:], true
	}
	if !whole {
		_, domain, _ = strings.Cut(aor, "@")
	}
	return user != "" && aorOf(sip.Uri{User: user, Host: domain}) == aor
}
