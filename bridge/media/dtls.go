package media

import (
	"slices"
	"time"
)

const (
	maxEarly      = 8    // DTLS datagrams held for a leg until its answer is out
	maxHandshakes = 1024 // at once, in the engine
	resendEvery   = int64(time.Second)
)

// dtlsState is a transport's DTLS: nothing yet, held, a handshake under way, or what is left of one that was done.
type dtlsState struct {
	early       [][]byte
	running     *association
	established bool
	renewable   bool   // the SDP changed so that a ClientHello may start another association
	due         bool   // it changed so that we are to start another where that is our part
	lastFlight  []byte // sent again where the peer's last flight comes again
	resent      int64
}

// receiveDTLS takes a datagram of the peer's, by its address.
func (t *transport) receiveDTLS(w *worker, p []byte) {
	l := t.leg
	r, ok := scanRecords(p)
	if !ok {
		w.drop(l, DropDTLSMalformed)
		return
	}
	if r.alert {
		w.drop(l, DropDTLSAlert) // counted, never obeyed: a spoofed one must not end a call
		if !r.hello && !r.finished && !r.other {
			return
		}
	}
	d := &t.dtls
	switch {
	case d.running != nil:
		if !d.running.pipe.deliver(withoutAlerts(p)) {
			w.drop(l, DropDTLSBusy)
		}
	case r.finished && d.established && d.lastFlight != nil:
		t.resendFlight(w)
	case d.established && !d.renewable:
		w.drop(l, DropDTLSUnexpected)
	case !t.mayHandshake():
		t.holdEarly(w, p)
	case r.hello && !t.active():
		t.startHandshake(w, false, withoutAlerts(p))
	default:
		w.drop(l, DropDTLSUnexpected)
	}
}

func (t *transport) holdEarly(w *worker, p []byte) {
	if len(t.dtls.early) == maxEarly {
		w.drop(t.leg, DropDTLSEarly)
		return
	}
	t.dtls.early = append(t.dtls.early, slices.Clone(p))
}

// releaseEarly lets the handshake begin once nothing stands against it.
func (t *transport) releaseEarly(w *worker) {
	if !t.mayHandshake() || t.leg.failed != "" {
		return
	}
	if t.far == nil && t.leg.ice.lastCheck == 0 {
		t.leg.alive.since = w.clock // from now on a first check is due
	}
	early := t.dtls.early
	t.dtls.early = nil
	for _, p := range early {
		t.receiveDTLS(w, p)
	}
	t.startActive(w)
}

// startActive sends the ClientHello where that is our part.
func (t *transport) startActive(w *worker) {
	d := &t.dtls
	if t.active() && t.mayHandshake() && t.leg.failed == "" && t.reachable() && d.running == nil && (!d.established || d.due) {
		t.startHandshake(w, true, nil)
	}
}

func (t *transport) startHandshake(w *worker, client bool, first []byte) {
	e := t.leg.engine
	select {
	case e.slots <- struct{}{}:
	default:
		w.drop(t.leg, DropDTLSBusy)
		return
	}
	a := newAssociation(t, client)
	t.dtls.running, t.dtls.renewable, t.dtls.due = a, false, false
	if first != nil {
		a.pipe.deliver(first)
	}
	e.counters.handshakes.Add(1)
	e.running.Go(func() {
		defer func() { <-e.slots }()
		outcome := a.run(e)
		t.leg.do(func(w *worker, _ *Leg) { t.finishHandshake(w, a, outcome) })
	})
}

// finishHandshake takes the keys over, or fails the leg.
func (t *transport) finishHandshake(w *worker, a *association, o outcome) {
	if t.dtls.running != a {
		return // stopped meanwhile
	}
	l := t.leg
	t.dtls.running = nil
	if o.session == nil && !a.proven && !a.client && !a.pipe.answered.Load() {
		t.dtls.renewable = t.dtls.established
		l.log().Info("dtls handshake did not come about", "err", o.err) // anybody could have begun it
		return
	}
	if o.session == nil {
		l.engine.counters.failed(o.reason)
		l.log().Warn("dtls handshake failed", "reason", string(o.reason), "err", o.err)
		l.fail(w, o.reason)
		return
	}
	if t.far != nil && t.srtp != nil {
		t.former = formerKeys{session: t.srtp, until: w.clock + formerKeyMost} // what is under way is still good
	}
	t.srtp = o.session
	t.dtls.established, t.dtls.lastFlight = true, o.lastFlight
	l.counters.profile.Store(uint32(o.session.keys.Profile))
	if t.far == nil {
		l.connected(w)
	}
}

// resendFlight answers a repeated last flight: ours was lost. At most once a second, whoever asks.
func (t *transport) resendFlight(w *worker) {
	d := &t.dtls
	if d.resent != 0 && w.clock-d.resent < resendEvery {
		return
	}
	d.resent = w.clock
	t.sendDTLS(w, d.lastFlight)
}

func (d *dtlsState) stop() {
	if d.running != nil {
		d.running.pipe.Close()
		d.running = nil
	}
	d.early = nil
}
