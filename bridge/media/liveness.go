package media

import (
	"time"

	"tandem/bridge/sdp"
)

// liveness is a leg's signs of life.
type liveness struct {
	since     int64 // last packet, or what last set the clock back (RTP); from when a first check is due (WebRTC)
	dead      bool
	connected bool
}

const (
	sweepMost  = time.Second
	sweepLeast = 5 * time.Millisecond
)

// sweepEvery is how often a worker looks after its legs.
func (e *Engine) sweepEvery() int64 {
	l := e.cfg.Limits
	least := min(l.Consent, l.Check, l.FirstCheck, l.Handshake, l.Silence, l.Held)
	return int64(max(sweepLeast, min(sweepMost, least/8)))
}

// connected tells the owner once that media works.
func (l *Leg) connected(w *worker) {
	if l.alive.connected {
		return
	}
	l.alive.connected = true
	l.counters.connectedAt.Store(w.wall().UnixNano())
	l.tell(w, Event{Kind: Connected})
}

// heard notes a sign of life: a check (WebRTC), a packet (RTP).
func (l *Leg) heard(w *worker) {
	if l.spec.Profile == sdp.RTP {
		l.alive.since = w.clock
	}
	if l.alive.dead && !l.lapsed {
		l.alive.dead = false
		l.tell(w, Event{Kind: Alive})
	}
}

// sweep looks whether the leg still lives.
func (l *Leg) sweep(w *worker) {
	if l.failed != "" {
		return
	}
	if l.spec.Profile == sdp.WebRTC {
		l.sweepWebRTC(w)
		return
	}
	if l.relay == nil || l.alive.dead {
		return
	}
	limit := l.engine.cfg.Limits.Held
	for i := range l.relay.plan.Streams {
		if l.relay.plan.Streams[i].Expect[l.side] {
			limit = l.engine.cfg.Limits.Silence
		}
	}
	if w.clock-l.alive.since > int64(limit) {
		l.die(w)
	}
}

func (l *Leg) sweepWebRTC(w *worker) {
	limits := &l.engine.cfg.Limits
	l.sweepTCP(w)
	l.forgetOld(w)
	switch {
	case l.ice.lastCheck == 0:
		if l.mayHandshake() && w.clock-l.alive.since > int64(limits.Check) {
			l.fail(w, NoConnectivity)
		}
	case w.clock-l.ice.lastCheck > int64(limits.Consent):
		l.die(w)
	case l.srtp == nil && l.dtls.running == nil && l.mayHandshake() &&
		w.clock-max(l.ice.firstCheck, l.alive.since) > int64(limits.Handshake):
		l.fail(w, HandshakeFailed) // it can reach us, but never began DTLS
	}
}

func (l *Leg) die(w *worker) {
	if !l.alive.dead {
		l.alive.dead = true
		l.tell(w, Event{Kind: Dead})
	}
}

// expire does what is due: digits, and the look after the legs.
func (w *worker) expire() {
	for i := len(w.digits) - 1; i >= 0; i-- { // from behind: a digit that ends leaves the list
		w.playDigit(w.digits[i])
	}
	w.advanceAgents()
	if w.sweepAt != 0 && w.clock >= w.sweepAt {
		for i := len(w.legs) - 1; i >= 0; i-- {
			w.sweepOne(w.legs[i])
		}
		for _, s := range w.shared {
			s.tidy(w.clock)
		}
		w.sweepAt = 0
		if len(w.legs) > 0 {
			w.sweepAt = w.clock + w.engine.sweepEvery()
		}
	}
	if w.reporter.at != 0 && w.clock >= w.reporter.at {
		w.report()
	}
	w.out.flush(w)
}

func (w *worker) sweepOne(l *Leg) {
	w.current = l
	defer w.contain()
	if l.relay != nil {
		l.endSilent(w)
	}
	l.sweep(w)
	w.current = nil
}

// nextDeadline is when expire has something to do; 0: never.
func (w *worker) nextDeadline() int64 {
	next := w.sweepAt
	if at := w.reporter.at; at != 0 && (next == 0 || at < next) {
		next = at
	}
	if at := w.agents.at; at != 0 && (next == 0 || at < next) {
		next = at
	}
	for _, l := range w.digits {
		if next == 0 || l.player.due < next {
			next = l.player.due
		}
	}
	return next
}

// wall is the round's time of day.
func (w *worker) wall() time.Time { return w.engine.start.Add(time.Duration(w.clock)) }
