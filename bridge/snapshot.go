package bridge

import (
	"errors"
	"fmt"
	"time"

	"tandem/bridge/admission"
	"tandem/bridge/media"
	"tandem/bridge/sdp"
)

// Snapshot is whatever continues an established call elsewhere: plain, JSON-able; no sockets, no timers. It holds media keys:
// guard it as one guards a password.
type Snapshot struct {
	Call     string
	At       time.Time
	Caller   LegSnapshot
	Callee   LegSnapshot
	Sessions [2]string // RFC 7989 halves of the caller's and callee's users
	Record   Record    // as far as it is written
}

// LegSnapshot is one leg of it.
type LegSnapshot struct {
	Name    string
	Profile sdp.Profile
	AOR     string    // a browser's
	Flow    string    // a browser's connection
	GoneAt  time.Time // since when that is lost; zero: it is not
	Backend string
	Dialog  Dialog
	Session sdp.Leg // offers and answers; no offer is open. Direct: there is no Media
	Queued  bool    // an offer of ours waits its turn
	Media   media.LegState
	Timer   SessionTimer
	Counted *admission.Caller // whom the limits count a caller's leg as
	Toll    *Toll             // of a leg that may cost
}

// Errors of Snapshot, Drop and Restore.
var (
	ErrNoCall  = errors.New("bridge: no such call")
	ErrNotNow  = errors.New("bridge: the call is not established, or an offer is open")
	ErrRestore = errors.New("bridge: the call cannot be restored")
)

// ask runs f on a call's goroutine and waits for it. Of a call that has ended nobody is asked.
func (b *Bridge) ask(id string, f func(c *call)) {
	c := b.calls.find(id)
	if c == nil {
		return
	}
	done := make(chan struct{})
	if c.post("ask", func() {
		defer close(done)
		f(c)
	}) {
		<-done
	}
}

// Snapshot writes an established call down by its id. ErrNotNow while it is set up or ends, or while an offer is open: ask again.
func (b *Bridge) Snapshot(id string) (Snapshot, error) {
	var s Snapshot
	err := fmt.Errorf("%w: %q", ErrNoCall, id)
	b.ask(id, func(c *call) { s, err = c.snapshot() })
	return s, err
}

func (c *call) snapshot() (Snapshot, error) {
	if c.state != callUp || c.transfer != nil || !c.caller.settled() || !c.callee.settled() {
		return Snapshot{}, fmt.Errorf("%w: %q", ErrNotNow, c.id)
	}
	record := c.record
	record.Recording = c.taped()
	return Snapshot{
		Call:     c.id,
		At:       time.Now(),
		Caller:   c.caller.snapshot(),
		Callee:   c.callee.snapshot(),
		Sessions: [2]string{c.sessions.Caller, c.sessions.Callee},
		Record:   record,
	}, nil
}

// settled says that nothing of the leg is under way.
func (l *leg) settled() bool {
	return l.state == legConfirmed && l.neg.Pending == sdp.Stable && l.open == nil && l.sent == nil && l.owed == 0
}

func (l *leg) snapshot() LegSnapshot {
	s := LegSnapshot{
		Name: l.name, Profile: l.profile, AOR: l.aor, Flow: l.flow, GoneAt: l.goneAt, Backend: l.backend,
		Dialog: l.dialog, Session: l.neg, Queued: l.offers.Queued || l.offers.Phase == offersBackoff,
		Timer: l.timer.SessionTimer,
	}
	if l.media != nil {
		s.Media = l.media.Export()
	}
	if l.counts.pass != nil {
		counted := l.counts.caller
		s.Counted = &counted
	}
	if l.counts.toll != nil {
		toll := *l.counts.toll
		toll.Running = true
		s.Toll = &toll
	}
	return s
}

// Drop forgets a call without a word to either peer; its media stops here.
func (b *Bridge) Drop(id string) error {
	found := false
	b.ask(id, func(c *call) {
		found = true
		c.drop()
	})
	if !found {
		return fmt.Errorf("%w: %q", ErrNoCall, id)
	}
	return nil
}

// drop frees everything without a message, an event or a record.
func (c *call) drop() {
	c.state = callEnded
	c.stopTimers()
	for _, l := range c.legs() {
		if l.media != nil {
			l.media.Close()
			l.media = nil
		}
		l.releaseQuota()
		l.unregister()
	}
	c.stopTape()
	c.dropInvite()
	c.bridge.calls.remove(c)
}
