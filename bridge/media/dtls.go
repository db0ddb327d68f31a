package media

import (
	"slices"
	"time"

	"tandem/bridge/sdp"
)

const (
	maxEarly      = 8    // DTLS datagrams held for a leg until its answer is out
	maxHandshakes = 1024 // at once, in the engine
	resendEvery   = int64(time.Second)
)

// dtlsState is a leg's DTLS: nothing yet, held, a handshake under way, or what is left of one that was done.
type dtlsState struct {
	early       [][]byte
	running     *association
	established bool
	renewable   bool   // the SDP changed so that a ClientHello may start another association
	lastFlight  []byte // sent again where the peer's last flight comes again
	resent      int64
}

// receiveDTLS takes a datagram from a validated pair.
func (l *Leg) receiveDTLS(w *worker, p []byte) {
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
	d := &l.dtls
	switch {
	case d.running != nil:
		if !d.running.pipe.deliver(withoutAlerts(p)) {
			w.drop(l, DropDTLSBusy)
		}
	case r.finished && d.established && d.lastFlight != nil:
		l.resendFlight(w)
	case d.established && !d.renewable:
		w.drop(l, DropDTLSUnexpected)
	case !l.mayHandshake():
		l.holdEarly(w, p)
	case r.hello && !l.active():
		l.startHandshake(w, false, withoutAlerts(p))
	default:
		w.drop(l, DropDTLSUnexpected)
	}
}

// active says whether the peer left the client's part to us (RFC 8842 §5).
func (l *Leg) active() bool { return l.remote.Setup == "passive" }

// mayHandshake says whether both descriptions are known to both sides. After a peer's offer ours must be out; a peer that
// says active or passive has answered our offer, and nothing of ours is outstanding.
func (l *Leg) mayHandshake() bool {
	if l.remote.Ufrag == "" {
		return false
	}
	return l.said || l.remote.Setup == "active" || l.remote.Setup == "passive"
}

func (l *Leg) holdEarly(w *worker, p []byte) {
	if len(l.dtls.early) == maxEarly {
		w.drop(l, DropDTLSEarly)
		return
	}
	l.dtls.early = append(l.dtls.early, slices.Clone(p))
}

// releaseEarly lets the handshake begin once nothing stands against it.
func (l *Leg) releaseEarly(w *worker) {
	if !l.mayHandshake() || l.failed != "" {
		return
	}
	if l.ice.lastCheck == 0 {
		l.alive.since = w.clock // from now on a first check is due
	}
	early := l.dtls.early
	l.dtls.early = nil
	for _, p := range early {
		l.receiveDTLS(w, p)
	}
	l.startActive(w)
}

// startActive sends the ClientHello where that is our part.
func (l *Leg) startActive(w *worker) {
	d := &l.dtls
	if l.active() && l.mayHandshake() && l.failed == "" && l.ice.selected != nil &&
		d.running == nil && (!d.established || d.renewable) {
		l.startHandshake(w, true, nil)
	}
}

func (l *Leg) startHandshake(w *worker, client bool, first []byte) {
	e := l.engine
	select {
	case e.slots <- struct{}{}:
	default:
		w.drop(l, DropDTLSBusy)
		return
	}
	a := newAssociation(l, client)
	l.dtls.running, l.dtls.renewable = a, false
	if first != nil {
		a.pipe.deliver(first)
	}
	e.counters.handshakes.Add(1)
	e.running.Go(func() {
		defer func() { <-e.slots }()
		outcome := a.run(e)
		l.do(func(w *worker, l *Leg) { l.finishHandshake(w, a, outcome) })
	})
}

// finishHandshake takes the keys over, or fails the leg.
func (l *Leg) finishHandshake(w *worker, a *association, o outcome) {
	if l.dtls.running != a {
		return // stopped meanwhile
	}
	l.dtls.running = nil
	if o.session == nil {
		l.engine.counters.failed(o.reason)
		l.log.Warn("dtls handshake failed", "reason", string(o.reason), "err", o.err)
		l.fail(w, o.reason)
		return
	}
	l.srtp = o.session
	l.dtls.established, l.dtls.lastFlight = true, o.lastFlight
	l.counters.profile.Store(uint32(o.session.keys.Profile))
	l.connected(w)
}

// resendFlight answers a repeated last flight: ours was lost. At most once a second, whoever asks.
func (l *Leg) resendFlight(w *worker) {
	d := &l.dtls
	if d.resent != 0 && w.clock-d.resent < resendEvery {
		return
	}
	d.resent = w.clock
	l.sendDTLS(w, d.lastFlight)
}

func (l *Leg) sendDTLS(w *worker, p []byte) {
	f := l.ice.selected
	if f == nil {
		w.drop(l, DropPeerNotReady)
		return
	}
	w.toPair(f, nil, p)
}

// renew allows a new association where the SDP changed what RFC 8842 §5.5 names.
func (d *dtlsState) renew(before, after sdp.Remote) {
	if before.Ufrag == "" || !d.established && d.running == nil {
		return
	}
	if before.Ufrag != after.Ufrag || before.TLSID != after.TLSID ||
		!slices.Equal(before.Fingerprints, after.Fingerprints) {
		d.renewable = true
	}
}

func (d *dtlsState) stop() {
	if d.running != nil {
		d.running.pipe.Close()
		d.running = nil
	}
	d.early = nil
}
