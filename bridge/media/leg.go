package media

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/bridge/media/ice"
	"tandem/bridge/sdp"
)

// LegSpec says what leg to open.
type LegSpec struct {
	Profile    sdp.Profile
	Call, Leg  string     // keys for logs
	Reached    netip.Addr // WebRTC: the address that the browser's WebSocket reached
	Signalling netip.Addr // RTP: where the leg's signalling comes from (learning)
	Learn      string     // RTP: "strict", "signalling", "any"; "": as RTPConfig says
	Secure     bool       // RTP: Local has a fingerprint for DTLS, and SDES keys where Keyed or once Key was called
	Keyed      bool
	Shared     bool              // RTP: audio may come in by a port that other legs use too, where its peer's address tells it from theirs
	Offered    *sdp.RemoteStream // RTP, Shared: the peer's audio where its offer came first; nil: ours goes first
	ICE        bool              // RTP: Local has a ufrag and a password; a peer that has them too is found by checks
	OnEvent    func(Event)       // called from the engine's event goroutine, one event at a time; must not block
	Tap        Tap               // sees what the leg's peer sends; nil: nobody does
	Restore    *LegState         // from a Snapshot: take these ports, credentials and keys again and relay at once
}

// Leg is one leg's transport.
type Leg struct {
	// static after construction
	engine   *Engine
	spec     LegSpec
	slot     uint32
	learn    learnMode
	cname    canonicalName
	identity *identity
	ports    *ports // RTP: whose its port pairs are

	// guarded by mu: what signalling knows
	mu     sync.Mutex
	local  sdp.Local
	keyed  bool // each slot has SDES keys
	digits Digits

	// any goroutine
	place    atomic.Uint32
	joined   atomic.Pointer[joining] // by the last Join
	commands queue[command]
	closed   atomic.Bool
	freed    chan struct{} // closed when the worker has let go
	counters legCounters

	// owned by the worker that owns the leg
	pending  *node[command]
	index    int // in the worker's legs; -1: in none
	remote   sdp.Remote
	said     bool // our answer is out
	failed   Reason
	lapsed   bool // RTP: the peer consents no more
	ice      iceState
	unproven stunBudget // checks and handshakes of far ends that are not known
	tcp      []*tcpConn
	transport
	streams  []*rtpStream // RTP: by slot; nil where none is reserved
	tracks   []track
	skew     uint64 // what is to be added to the peer's NTP times to get ours
	reportAt int64  // the next RTCP report's time
	relay    *relay
	side     int // in the relay
	alive    liveness
	form     DigitForm
	ear      ear
	player   *player // digits being sent; nil: none
}

// NewLeg reserves a leg: ports, credentials. ErrNoPorts where the range is used up.
func (e *Engine) NewLeg(spec LegSpec) (*Leg, error) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.ctx.Err() != nil {
		return nil, ErrClosed
	}
	l := &Leg{
		engine: e, spec: spec, index: -1, freed: make(chan struct{}), cname: newCanonicalName(),
		identity: e.identities.at(time.Now()),
	}
	l.transport.leg = l
	var err error
	if l.learn, err = e.learnMode(spec.Learn); err != nil {
		return nil, err
	}
	w := e.table.add(l, len(e.workers))
	l.place.Store(uint32(w))
	switch spec.Profile {
	case sdp.WebRTC:
		err = l.openWebRTC(w)
	case sdp.RTP:
		err = l.openRTP(w)
	default:
		err = fmt.Errorf("media: unknown profile %d", spec.Profile)
	}
	if err != nil {
		e.table.remove(l)
		return nil, err
	}
	e.counters.legs.Add(1)
	l.order(func(w *worker, l *Leg) {
		l.open(w)
		if spec.Restore != nil {
			l.goOn(w, spec.Restore)
		}
	})
	return l, nil
}

func (l *Leg) openWebRTC(worker int) error {
	if len(l.engine.listens) == 0 {
		return fmt.Errorf("media: no listen address for browsers configured")
	}
	l.local = sdp.Local{Fingerprint: l.identity.fingerprint, Candidates: l.engine.candidates(l.spec.Reached)}
	if r := l.spec.Restore; r != nil {
		l.local.Ufrag, l.local.Password = r.Local.Ufrag, r.Local.Password
		l.engine.table.adopt(r.Local.Ufrag, l)
		l.engine.table.adopt(r.Previous.Ufrag, l)
		return l.restoreWebRTC(r)
	}
	c := newCredentials(l.engine.cfg.Node, worker, l.slot)
	l.local.Ufrag, l.local.Password = c.Ufrag, c.Password
	l.ice.current = c
	return nil
}

func (l *Leg) openRTP(worker int) error {
	r := l.spec.Restore
	if r != nil {
		l.spec.Keyed = len(r.Local.Crypto) > 0
		l.spec.Secure = l.spec.Keyed || r.Local.Fingerprint.Value != ""
	}
	l.keyed = l.spec.Secure && l.spec.Keyed
	if l.spec.Secure {
		l.local.Fingerprint = l.identity.fingerprint
	}
	if l.spec.ICE {
		l.ice.current = newCredentials(l.engine.cfg.Node, worker, l.slot)
	}
	if r != nil {
		l.ice.current, l.ice.previous = Credentials{r.Local.Ufrag, r.Local.Password}, r.Previous
	}
	l.local.Ufrag, l.local.Password = l.ice.current.Ufrag, l.ice.current.Password
	if r == nil {
		l.ports = l.engine.portsTowards(l.spec.Signalling)
		l.local.Addr = l.ports.advertise
		return l.openPorts(l.engine.workers[worker])
	}
	l.local.Crypto = slices.Clone(r.Local.Crypto)
	l.ports = l.engine.portsTowards(r.Local.Addr)
	l.local.Addr = l.ports.advertise
	return l.restorePorts(r, l.engine.workers[worker])
}

// openPorts gives the leg's audio a port: a shared one, without ICE, or its own.
func (l *Leg) openPorts(w *worker) error {
	pair, ok := l.takeShared(w)
	l.spec.Offered = nil
	if !ok {
		return l.Reserve(sdp.Audio)
	}
	l.ice.current, l.local.Ufrag, l.local.Password = Credentials{}, "", ""
	l.settle(sdp.Audio, pair)
	return nil
}

func (l *Leg) restorePorts(r *LegState, w *worker) error {
	own := slices.Clone(r.Local.Ports)
	if len(r.Streams) > 0 && r.Streams[sdp.Audio].Shared && len(own) > 0 {
		shared, err := l.ports.sharedExactly(own[sdp.Audio], w)
		if err != nil {
			return err
		}
		l.settle(sdp.Audio, shared.pair())
		own[sdp.Audio] = 0
	}
	pairs, err := l.ports.takeExactly(own)
	for slot, pair := range pairs {
		if pair.port != 0 {
			l.settle(slot, pair)
		}
	}
	return err
}

// Reserve gives the slot a port pair, unless it has one; its port stands in Local from then on. ErrNoPorts where the range is
// used up. A WebRTC leg needs none.
func (l *Leg) Reserve(slot sdp.Slot) error {
	l.mu.Lock()
	has := slot < len(l.local.Ports) && l.local.Ports[slot] != 0
	l.mu.Unlock()
	if l.spec.Profile != sdp.RTP || has {
		return nil
	}
	pair, err := l.ports.take()
	if err == nil {
		l.settle(slot, pair)
	}
	return err
}

// settle puts a slot's sockets into the leg.
func (l *Leg) settle(slot sdp.Slot, pair portPair) {
	l.mu.Lock()
	l.local.Ports = append(l.local.Ports, make([]uint16, max(0, slot+1-len(l.local.Ports)))...)
	l.local.Ports[slot] = pair.port
	if l.keyed {
		l.key(slot)
	}
	l.mu.Unlock()
	l.order(func(w *worker, l *Leg) {
		if l.closed.Load() {
			newRTPStream(l, slot, pair).letGo(l.ports)
			return
		}
		l.streams = append(l.streams, make([]*rtpStream, max(0, slot+1-len(l.streams)))...)
		l.streams[slot] = newRTPStream(l, slot, pair)
		if l.index >= 0 {
			l.streams[slot].watch(w)
			l.streams[slot].expect(w, sdp.RemoteStream{})
		}
	})
}

// open puts the leg into its first worker's hands.
func (l *Leg) open(w *worker) {
	w.attach(l)
	l.alive.since = w.clock
}

// log names the leg. It is made where something is to be said, which is rare.
func (l *Leg) log() *slog.Logger {
	return l.engine.cfg.Log.With("call", l.spec.Call, "leg", l.spec.Leg)
}

// Name is LegSpec.Leg.
func (l *Leg) Name() string { return l.spec.Leg }

// Local is what our SDP says.
func (l *Leg) Local() sdp.Local {
	l.mu.Lock()
	defer l.mu.Unlock()
	local := l.local
	local.Candidates = append([]sdp.Candidate(nil), local.Candidates...)
	local.Ports = append([]uint16(nil), local.Ports...)
	local.Crypto = slices.Clone(local.Crypto)
	return local
}

// Restart gives new ICE credentials; the old ones go on to work until the new ones are used.
func (l *Leg) Restart() sdp.Local {
	if l.Local().Ufrag == "" {
		return l.Local()
	}
	c := newCredentials(l.engine.cfg.Node, l.home().worker(), l.slot)
	l.mu.Lock()
	l.local.Ufrag, l.local.Password = c.Ufrag, c.Password
	l.mu.Unlock()
	l.order(func(_ *worker, l *Leg) {
		l.ice.restart(c)
		for _, s := range l.streams {
			if s != nil && s.agent != nil {
				s.agent.Restart(ice.Credentials(c))
			}
		}
	})
	return l.Local()
}

// SetRemote says what the peer's SDP said; ICE and DTLS need it, the RTP side sends and learns by it. May be called again.
func (l *Leg) SetRemote(r sdp.Remote) {
	l.order(func(w *worker, l *Leg) {
		if l.spec.Profile == sdp.WebRTC {
			l.setPeer(w, r)
			return
		}
		l.setAddresses(w, r)
	})
}

// AnswerSent releases early DTLS: after the peer's offer it is held until our answer is out.
func (l *Leg) AnswerSent() {
	l.order(func(w *worker, l *Leg) {
		l.said = true
		for _, s := range l.streams {
			s.begin(w)
		}
		for _, t := range l.transports() {
			t.releaseEarly(w)
		}
	})
}

// Close frees the leg; its ports drain. It waits until the worker has let go, at most a tick, so that what the leg had can
// be taken again; call it from no Tap. Safe to call twice.
func (l *Leg) Close() {
	l.BeginClose()
	select {
	case <-l.freed:
	case <-l.engine.stopped:
	}
}

// BeginClose is Close without the waiting: a worker lets go of several legs in one round.
func (l *Leg) BeginClose() {
	if !l.closed.Swap(true) {
		l.order(func(w *worker, l *Leg) { l.release(w) })
	}
}

// release takes the leg out of its relay and its worker, and frees what it holds.
func (l *Leg) release(w *worker) {
	w.out.flush(w)
	l.closed.Store(true)
	l.publish()
	l.unjoin(w)
	for _, t := range l.transports() {
		t.dtls.stop()
	}
	l.forgetFlows(w)
	for len(l.tcp) > 0 {
		w.closeTCP(l.tcp[0])
	}
	w.detach(l)
	for _, s := range l.streams {
		if s != nil {
			s.letGo(l.ports)
		}
	}
	l.streams = nil
	l.engine.table.remove(l)
	l.engine.counters.legs.Add(-1)
	close(l.freed)
}

// fail ends the leg's media for good and tells its owner why.
func (l *Leg) fail(w *worker, why Reason) {
	if l.failed != "" {
		return
	}
	l.failed = why
	for _, t := range l.transports() {
		t.srtp = nil
		t.dtls.stop()
	}
	for _, s := range l.streams {
		if s != nil {
			s.uncheck(w)
		}
	}
	l.tell(w, Event{Kind: Failed, Reason: why})
}

func (l *Leg) tell(w *worker, e Event) {
	e.At = w.wall()
	l.engine.events.post(notice{leg: l, event: e})
}
