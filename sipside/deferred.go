package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"tandem/sipside/transaction"
)

// deferred is the flow of one request (and of its CANCEL and ACK) whose way is not known yet: a name must be looked up
// first, or a request too large for UDP tries TCP and falls back. What is sent meanwhile waits; the transaction sees one
// flow and one request.
type deferred struct {
	// static after construction
	e        *Endpoints
	id       string
	hop      target
	backend  *Backend
	learn    bool   // the hop is not the backend's own address
	fallback []byte // sent-by over TCP, to be replaced where UDP is taken after all; nil where there is no choice
	viaUDP   []byte

	mu      sync.Mutex
	way     transaction.Flow // guarded by mu; nil until decided
	rewrite bool             // guarded by mu
	err     error            // guarded by mu
	sent    [][]byte         // guarded by mu; waiting, or on a reliable way what need not be repeated
}

var _ transaction.Flow = (*deferred)(nil)

const maxDeferred = 16 // a request, its CANCEL and its ACK, with room

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

// forward sends over the way. Called with mu held; neither way blocks.
func (d *deferred) forward(data []byte) error {
	if d.rewrite {
		data = bytes.Replace(data, d.fallback, d.viaUDP, 1)
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

func (d *deferred) decide() {
	addr, err := d.e.lookUp(d.hop)
	if err != nil {
		d.fail(err)
		return
	}
	if d.learn {
		d.e.sources.learn(addr.Addr(), d.backend)
	}
	switch {
	case d.hop.transport != udp:
		d.overStream(d.hop, addr)
	case d.fallback == nil || !d.tryTCP(addr):
		d.overUDP(addr)
	}
}

// lookUp gives a target's address, waiting for the name server where needed.
func (e *Endpoints) lookUp(t target) (netip.AddrPort, error) {
	if addr, ok := t.literal(); ok {
		return addr, nil
	}
	addrs, err := e.names.wait(t.host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0], t.port), nil
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
		if c.attach(d) {
			d.settle(c, false)
			return true
		}
	case <-late.C:
	}
	if d.e.refusals.add(addr) {
		d.e.log.Info("no TCP for requests above 1300 bytes, UDP is used", "backend", d.backend.name, "address", addr.String())
	}
	return false
}

func (d *deferred) overStream(hop target, addr netip.AddrPort) {
	c, err := d.e.to(connKey{hop.transport, addr, hop.tlsName()})
	switch {
	case err != nil:
		d.fail(err)
	case !c.attach(d):
		d.fail(c.cause())
	default:
		d.settle(c, false)
	}
}

func (d *deferred) overUDP(addr netip.AddrPort) {
	u, err := d.e.udpFor(addr.Addr())
	if err != nil {
		d.fail(err)
		return
	}
	d.settle(u.flow(addr), d.fallback != nil)
}

// settle sets the way and sends what waits.
func (d *deferred) settle(way transaction.Flow, rewrite bool) {
	d.mu.Lock()
	d.way, d.rewrite = way, rewrite
	var err error
	for _, data := range d.sent {
		if err = d.forward(data); err != nil {
			break
		}
	}
	d.mu.Unlock()
	if err != nil {
		d.fail(err)
	}
}

func (d *deferred) fail(err error) {
	d.mu.Lock()
	d.err = fmt.Errorf("no way to %s: %w", d.hop.hostPort(), err)
	d.mu.Unlock()
	d.e.log.Debug("request lost its way", "backend", d.backend.name, "error", d.err)
	d.e.layer.FlowLost(d)
}

// refusals remembers where TCP did not connect, so that not every large request pays for the attempt.
type refusals struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time // guarded by mu; at most maxRefusals
}

const (
	maxRefusals = 1024
	refusalLife = 5 * time.Minute
)

func (r *refusals) recent(addr netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until[addr])
}

// add notes a refusal and says whether it is news.
func (r *refusals) add(addr netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	known := now.Before(r.until[addr])
	for old, until := range r.until {
		if len(r.until) >= maxRefusals || now.After(until) {
			delete(r.until, old)
		}
	}
	r.until[addr] = now.Add(refusalLife)
	return !known
}
