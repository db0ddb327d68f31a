// Package ice is a full ICE agent (RFC 8445) for a host with one address: one host candidate for each component. It does no
// I/O and keeps no time: messages and the clock are handed in, what is to be sent is handed out. Not safe for concurrent use.
package ice

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	pace          = int64(50 * time.Millisecond)  // Ta, between two new checks (RFC 8445 §14.2)
	firstTimeout  = int64(500 * time.Millisecond) // RTO (§14.3)
	mostTries     = 6                             // of one check: 500 ms, 1 s, 2 s …
	patience      = int64(300 * time.Millisecond) // that a better pair gets once one works, before this is nominated
	consentEvery  = int64(5 * time.Second)        // ± 20 % (RFC 7675 §5.1)
	maxPairs      = 100                           // RFC 8445 §6.1.2.5
	maxEarly      = 16
	hostPreferred = 126<<24 | 65535<<8 // RFC 8445 §5.1.2.1, with 256 less the component
	peerPreferred = 110<<24 | 65535<<8 // of a peer-reflexive candidate
)

// Credentials are one side's.
type Credentials struct{ Ufrag, Password string }

// Candidate is one of the peer's. Component 0 is 1.
type Candidate struct {
	Addr      netip.AddrPort
	Component int
	Priority  uint32
}

// Remote is what the peer's description says.
type Remote struct {
	Credentials
	Controlling bool // we are
	Components  int  // that are in use: 2, or 1 with rtcp-mux
	Candidates  []Candidate
}

// Config is what an agent needs. Times are in the clock's units, ns.
type Config struct {
	Local    Credentials
	Consent  int64 // how long a pair is used without an answer to its checks (RFC 7675: 30 s)
	Limit    int64 // how long a first pair is looked for
	Send     func(component int, to netip.AddrPort, message []byte)
	Selected func(component int, to netip.AddrPort) // packets go there from now on
	Expired  func(component int)                    // nothing more may be sent: the peer does not consent any more
	Failed   func()                                 // no pair works; called once for each description with new credentials
}

// Agent is one stream's. Its zero value is of no use: New makes one.
type Agent struct {
	cfg         Config
	local       Credentials
	previous    Credentials // good until the new ones are used
	generation  *generation // nil before SetRemote
	controlling bool
	tie         uint64
	pairs       []*pair
	triggered   []*pair
	early       []early
	components  [2]component
	began       int64 // 0: checks have not
	paced       int64 // when the next new check may go
	failed      bool
	due         int64
}

// generation is what a restart replaces.
type generation struct {
	local, remote Credentials
	components    int
}

// component is RTP or RTCP.
type component struct {
	selected *pair
	worked   int64 // since when a pair of this generation does; 0: none
	consent  consent
}

// early is a check that came before the peer's description.
type early struct {
	component int
	from      netip.AddrPort
	priority  uint32
	ufrag     string
	nominates bool
}

// New makes an agent that answers checks.
func New(cfg Config) *Agent {
	return &Agent{cfg: cfg, local: cfg.Local, tie: rand.Uint64()}
}

// Restart takes new credentials of ours. The old ones are good until the peer uses the new ones.
func (a *Agent) Restart(local Credentials) {
	if a.previous.Ufrag == "" {
		a.previous = a.local
	}
	a.local = local
}

// SetRemote takes the peer's description. With other credentials than before of either side it begins anew, the pair in use
// staying so until another is nominated; with the same ones it adds candidates.
func (a *Agent) SetRemote(r Remote, now int64) {
	if g := a.generation; g == nil || g.remote != r.Credentials || g.local != a.local {
		a.generation = &generation{local: a.local, remote: r.Credentials}
		a.pairs, a.triggered, a.failed, a.controlling = nil, nil, false, r.Controlling
		if a.began != 0 {
			a.began = now
		}
		for i := range a.components {
			a.components[i].worked = 0
		}
	}
	a.generation.components = r.Components
	for _, c := range r.Candidates {
		if component := max(1, c.Component); component <= r.Components && a.pairOf(component, c.Addr) == nil {
			a.add(component, c.Addr, c.Priority)
		}
	}
	waiting := a.early
	a.early = nil
	for _, e := range waiting {
		if e.ufrag == r.Ufrag {
			a.heard(e, now)
		}
	}
	a.plan(now)
}

// Begin lets checks go out; before it the peer may not know of us.
func (a *Agent) Begin(now int64) {
	if a.began == 0 {
		a.began = max(1, now)
		a.plan(now)
	}
}

// Checking says whether a first pair is still looked for.
func (a *Agent) Checking() bool { return a.components[0].selected == nil }

// Accepts says whether packets from there are the peer's: a check was answered there, or came from there.
func (a *Agent) Accepts(component int, from netip.AddrPort) bool {
	if s := a.components[component-1].selected; s != nil && s.to == from {
		return true
	}
	p := a.pairOf(component, from)
	return p != nil && (p.proven || p.heard)
}

// Resume puts an agent where another stood: it has a pair in use.
func (a *Agent) Resume(component int, to netip.AddrPort, now int64) {
	p := a.pairOf(component, to)
	if p == nil {
		p = a.add(component, to, peerPreferred)
	}
	p.state, p.proven = succeeded, true
	a.began = max(1, now)
	a.choose(p, now)
	a.plan(now)
}

// Due is when Advance has something to do; 0: never.
func (a *Agent) Due() int64 { return a.due }

// Advance does what is due.
func (a *Agent) Advance(now int64) {
	if a.generation == nil || a.began == 0 {
		return
	}
	for _, p := range a.pairs {
		if p.state == inProgress && now >= p.again {
			a.repeat(p, now)
		}
	}
	if now >= a.paced {
		if p := a.next(); p != nil {
			a.check(p, now)
			a.paced = now + pace
		}
	}
	for i := range a.components {
		a.nominate(i+1, now)
		a.keep(i+1, now)
	}
	if a.Checking() && !a.failed && now-a.began >= a.cfg.Limit {
		a.failed = true
		a.cfg.Failed()
	}
	a.plan(now)
}

// plan finds out when Advance is to be called next.
func (a *Agent) plan(now int64) {
	a.due = 0
	if a.generation == nil || a.began == 0 {
		return
	}
	at := func(t int64) {
		if t = max(t, now+1); a.due == 0 || t < a.due {
			a.due = t
		}
	}
	for _, p := range a.pairs {
		if p.state == inProgress {
			at(p.again)
		}
	}
	if a.waits() {
		at(a.paced)
	}
	for i := range a.components {
		c := &a.components[i]
		if c.selected != nil && !c.consent.expired {
			at(c.consent.due(a.cfg.Consent))
		}
		if a.controlling && c.worked != 0 && !a.nominating(i+1) {
			at(c.worked + patience)
		}
	}
	if a.Checking() && !a.failed {
		at(a.began + a.cfg.Limit)
	}
}
