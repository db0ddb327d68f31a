package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// deferred is the flow of one request (and of its CANCEL and ACK) whose way is not known yet: a name must be looked up first,
// it has several servers, or a request too large for UDP tries TCP and falls back. What is sent meanwhile waits; the
// transaction sees one flow and one request.
type deferred struct {
	// static after start
	e       *Endpoints
	id      string
	hop     target
	places  []place // nil: to be looked up
	backend *Backend
	learn   bool   // the hop is not the backend's own address
	large   bool   // above UDP's limit
	written []byte // the sent-by in the request, to be replaced where another transport is taken

	mu      sync.Mutex
	left    []place          // guarded by mu; still to be tried
	way     transaction.Flow // guarded by mu; nil until decided
	at      netip.AddrPort   // guarded by mu; the way's server
	via     []byte           // guarded by mu; the way's sent-by
	silence int              // guarded by mu; repetitions of the request over this way
	err     error            // guarded by mu
	sent    [][]byte         // guarded by mu; waiting, or on a reliable way what need not be repeated
}

var _ transaction.Flow = (*deferred)(nil)

const (
	maxDeferred = 16 // a request, its CANCEL and its ACK, with room
	maxSilence  = 3  // repetitions by UDP without a response until the next server is tried: 3.5 s (RFC 3261 §17.1.1.2)
)

var errDeferredFull = errors.New("sipside: too many messages wait for their way")

// Reliable is false where the request may end up on UDP: the transaction then retransmits, and a reliable way
// swallows the repetitions.
func (d *deferred) Reliable() bool   { return d.hop.transport != udp }
func (d *deferred) Identity() string { return d.id }

// Send passes a message on, or keeps it until the way is known.
func (d *deferred) Send(data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	if d.way != nil && !d.way.Reliable() {
		if d.isSilent(data) {
			d.way, d.sent = nil, [][]byte{data}
			return d.start()
		}
		return d.forward(data)
	}
	for _, earlier := range d.sent {
		if bytes.Equal(earlier, data) {
			return nil
		}
	}
	if len(d.sent) >= maxDeferred {
		return errDeferredFull
	}
	d.sent = append(d.sent, data)
	if d.way == nil {
		return nil
	}
	return d.forward(data)
}

// isSilent counts the repetitions of the first message and says whether it is time for the next server (RFC 3263 §4.3): after some, or
// at once where the server is known not to be there. Called with mu held.
func (d *deferred) isSilent(data []byte) bool {
	if len(d.left) == 0 || len(d.sent) == 0 || !bytes.Equal(d.sent[0], data) {
		return false
	}
	d.silence++
	if d.silence < maxSilence && !d.e.silences.recent(d.at) {
		return false
	}
	d.e.silences.add(d.at)
	return true
}

// forward sends over the way. Called with mu held; neither way blocks.
func (d *deferred) forward(data []byte) error {
	if !bytes.Equal(d.via, d.written) {
		data = bytes.Replace(data, d.written, d.via, 1)
	}
	return d.way.Send(data)
}

// start decides in the background. The transaction must be under way, for it hears of a failure by FlowLost.
func (d *deferred) start() error {
	if !d.e.spawn(d.decide) {
		return errClosed
	}
	return nil
}

// decide takes the first server that can be reached; called again, the next one.
func (d *deferred) decide() {
	err := d.lookUp()
	for err == nil {
		d.mu.Lock()
		p := d.left[0]
		d.left = d.left[1:]
		last := len(d.left) == 0
		d.mu.Unlock()
		failed := d.take(p, last)
		if failed == nil {
			return
		}
		d.e.silences.add(p.addr)
		d.e.log.Debug("server not reached", "backend", d.backend.name, "address", p.addr.String(), "error", failed)
		if last {
			err = failed
		}
	}
	d.fail(err)
}

// lookUp finds the servers, once, waiting for the name server where needed.
func (d *deferred) lookUp() error {
	d.mu.Lock()
	tried := d.left != nil
	d.mu.Unlock()
	if tried {
		return nil
	}
	places, err := d.places, error(nil)
	if places == nil {
		places, err = d.e.names.wait(d.hop)
		places = d.e.silences.last(places)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = places
	return err
}

// take tries one server. Where there are others, a stream has to be connected.
func (d *deferred) take(p place, last bool) error {
	if d.learn {
		d.e.sources.learn(p.addr.Addr(), d.backend)
	}
	if p.transport == udp {
		if d.large && d.tryTCP(p.addr) {
			return nil
		}
		u, err := d.e.udpFor(p.addr.Addr())
		if err != nil {
			return err
		}
		return d.settle(u.flow(p.addr), p)
	}
	c, err := d.e.to(d.backend.connKeyOf(p, d.hop.host))
	if err != nil {
		return err
	}
	if !last {
		<-c.ready // closed at the latest when dialling has taken too long
	}
	if !c.attach(d) {
		return c.cause()
	}
	return d.settle(c, p)
}

// tryTCP takes TCP where it connects in time (RFC 3261 §18.1.1), and remembers where it does not.
func (d *deferred) tryTCP(addr netip.AddrPort) bool {
	if d.e.refusals.recent(addr) {
		return false
	}
	c, err := d.e.to(connKey{transport: tcp, addr: addr})
	if err != nil {
		return false
	}
	late := time.NewTimer(d.e.limits.switchover)
	defer late.Stop()
	select {
	case <-c.ready:
		if c.attach(d) && d.settle(c, place{transport: tcp, addr: addr}) == nil {
			return true
		}
	case <-late.C:
	}
	if d.e.refusals.add(addr) {
		d.e.log.Info("no TCP for requests above 1300 bytes, UDP is used", "backend", d.backend.name, "address", addr.String())
	}
	return false
}

// settle sets the way and sends what waits.
func (d *deferred) settle(way transaction.Flow, p place) error {
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0"}
	d.e.address(via, p.transport, p.addr.Addr())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.way, d.at, d.via, d.silence = way, p.addr, sentBy(via), 0
	for _, data := range d.sent {
		if err := d.forward(data); err != nil {
			return err
		}
	}
	return nil
}

// noteRefusal passes a server over for a while that says 503, where a target has several (RFC 3263 §4.3).
func (e *Endpoints) noteRefusal(way transaction.Flow, res *sip.Response) {
	d, several := way.(*deferred)
	if !several || res == nil || res.StatusCode != sip.StatusServiceUnavailable {
		return
	}
	d.mu.Lock()
	at := d.at
	d.mu.Unlock()
	e.silences.addFor(at, max(silenceLife, min(seconds(res.GetHeader("Retry-After")), restLongest)))
}

// noteSilence passes the server over for a while that a request is waiting for, where a target has several.
func (e *Endpoints) noteSilence(way transaction.Flow) {
	d, several := way.(*deferred)
	if !several {
		return
	}
	d.mu.Lock()
	at := d.at
	d.mu.Unlock()
	if at.IsValid() {
		e.silences.add(at)
	}
}

// Another says whether the backend has a server that was neither silent nor said 503 lately: after a 503 the request is to be sent
// again, and goes there (RFC 3263 §4.3).
func (b *Backend) Another() bool {
	places := b.located()
	return len(places) > 1 && slices.ContainsFunc(places, func(p place) bool { return !b.e.silences.recent(p.addr) })
}

func (d *deferred) fail(err error) {
	d.mu.Lock()
	d.err = fmt.Errorf("no way to %s: %w", d.hop.hostPort(), err)
	d.mu.Unlock()
	d.e.log.Debug("request lost its way", "backend", d.backend.name, "error", d.err)
	d.e.layer.FlowLost(d)
}

// refusals remembers for a while which servers did not do something, so that not every request pays for the attempt.
type refusals struct {
	life time.Duration // static

	mu    sync.Mutex
	until map[netip.AddrPort]time.Time // guarded by mu; at most maxRefusals
}

const (
	maxRefusals = 1024
	refusalLife = 5 * time.Minute  // no TCP for large requests
	silenceLife = 30 * time.Second // not there at all: others are tried before it
)

func (r *refusals) recent(addr netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until[addr])
}

// add notes a refusal and says whether it is news.
func (r *refusals) add(addr netip.AddrPort) bool { return r.addFor(addr, r.life) }

// addFor notes it for another time than the usual.
func (r *refusals) addFor(addr netip.AddrPort, life time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	known := now.Before(r.until[addr])
	for old, until := range r.until {
		if len(r.until) >= maxRefusals || now.After(until) {
			delete(r.until, old)
		}
	}
	r.until[addr] = now.Add(life)
	return !known
}

// last puts the places that refused lately behind the others, the latest last.
func (r *refusals) last(places []place) []place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(places) < 2 || len(r.until) == 0 {
		return places
	}
	now := time.Now()
	until := func(p place) time.Time {
		if at := r.until[p.addr]; at.After(now) {
			return at
		}
		return time.Time{}
	}
	sorted := slices.Clone(places)
	slices.SortStableFunc(sorted, func(a, b place) int { return until(a).Compare(until(b)) })
	return sorted
}
