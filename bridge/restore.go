package bridge

import (
	"fmt"
	"time"

	"tandem/bridge/media"
)

// Restore goes on with a call that a Snapshot wrote down: its legs find their peers again, media is relayed at once, timers run
// on. A browser whose connection is not here is one whose flow is lost.
func (b *Bridge) Restore(s Snapshot) error {
	if b.calls.find(s.Call) != nil {
		return fmt.Errorf("%w: %q runs here", ErrRestore, s.Call)
	}
	c := b.newCall(s.Call)
	c.state = callUp
	c.record = s.Record
	c.record.Media, c.record.Recording = nil, nil
	c.tape = restoredTape(s.Record.Recording)
	c.sessions = sessionIDs{Caller: s.Sessions[0], Callee: s.Sessions[1]}
	var err error
	if c.caller, err = c.restoreLeg(s.Caller); err == nil {
		c.callee, err = c.restoreLeg(s.Callee)
	}
	if err == nil {
		err = c.rejoin()
	}
	if err != nil {
		for _, l := range []*leg{c.caller, c.callee} {
			if l != nil && l.media != nil {
				l.media.Close()
			}
		}
		return fmt.Errorf("%w: %q: %w", ErrRestore, s.Call, err)
	}
	b.calls.add(c)
	for i, l := range c.legs() {
		l.keepAs([]LegSnapshot{s.Caller, s.Callee}[i])
		l.register()
	}
	c.post("restored", c.restored)
	c.bridge.runners.run(c.run)
	return nil
}

// rejoin relays between the legs again; a direct call has nothing to relay.
func (c *call) rejoin() error {
	if c.direct = c.caller.neg.Direct && c.callee.neg.Direct; c.direct {
		return nil
	}
	return c.joinMedia(c.caller, c.callee)
}

// restoreLeg makes a confirmed leg of its snapshot.
func (c *call) restoreLeg(s LegSnapshot) (*leg, error) {
	l := &leg{
		name: s.Name, profile: s.Profile, aor: s.AOR, flow: s.Flow, goneAt: s.GoneAt, backend: s.Backend,
		state: legConfirmed, dialog: s.Dialog, neg: s.Session, offers: offers{Phase: offersStable, Queued: s.Queued},
	}
	c.adopt(l)
	l.timer.SessionTimer = s.Timer
	l.digits, l.policy = c.bridge.peering(l.backend).DTMF, s.Session.Policy
	name := s.Backend
	if l.browser() {
		if conn := c.bridge.with.Browsers.Find(s.Flow); conn != nil {
			l.peer, l.goneAt, name = conn, time.Time{}, conn.Name()
		} else if l.goneAt.IsZero() {
			l.goneAt = time.Now()
		}
	} else if backend := c.bridge.with.Backends.Backend(s.Backend); backend != nil {
		l.peer = backend
	} else {
		return nil, fmt.Errorf("backend %q is unknown here", s.Backend)
	}
	l.conn, l.log = name, newLegLog(l)
	if l.neg.Direct {
		return l, nil
	}
	state := s.Media
	m, err := c.bridge.with.Media.NewLeg(media.LegSpec{
		Profile: l.profile, Call: c.id, Leg: l.name, Signalling: l.signalling(), Learn: c.bridge.peering(l.backend).Learn,
		OnEvent: l.onMedia, Tap: c.tap(), Restore: &state,
	})
	if err != nil {
		return nil, err
	}
	l.media = m
	return l, nil
}

// keepAs counts a restored leg where its snapshot says.
func (l *leg) keepAs(s LegSnapshot) {
	if s.Counted != nil {
		l.keep(*s.Counted)
	} else {
		l.keepQuota()
	}
	if s.Toll != nil && l.call.bridge.with.Tolls != nil {
		l.meter(*s.Toll)
	}
}

// restored starts what a running call has under way.
func (c *call) restored() {
	c.log.Info("call restored")
	c.startTape()
	c.watch()
	for _, l := range c.legs() {
		l.startTimer()
		if l.browser() && l.peer == nil {
			c.awaitReturn(l)
		}
		if l.offers.Queued {
			l.offers.Queued = false
			l.offer(offerWanted)
		}
	}
}
