package media

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	detourListen  = 0xfe // in a flow's key: the detour's number stands for its address
	maxDetours    = 16   // of one allocation: media ports that its client may name
	waitingParcel = 128  // packets on their way to a client by a connection
)

// PacketConn is a net.PacketConn that makes no garbage for addresses.
type PacketConn = interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// allocation is a TURN client's relayed address (RFC 8656 §2.2) that no socket has: from there its client and our media talk within
// the process. Of a client by UDP the workers take and send the packets themselves; of one by a connection somebody else does, by
// the allocation's own methods, which are those of a PacketConn.
type allocation struct {
	// static after construction
	engine *Engine
	at     netip.AddrPort
	name   sockaddr    // at
	port   *clientPort // by which its client comes; nil: a connection
	key    source      // the client, as the workers see it
	client endpoint    // the same
	via    int         // the worker whose socket the client's packets come in by
	meter  func(in bool, size int) bool

	// any goroutine
	detours atomic.Pointer[[]*detour] // an immutable list
	parcels chan *relayedParcel
	done    chan struct{} // closed by Close
	closing sync.Once
}

// detour is the way from an allocation's address to one of our media ports and back. Whoever uses it looks at nothing but this.
type detour struct {
	// static after construction
	allocation *allocation
	peer       netip.AddrPort // our port, as the client names it
	key        source

	// any goroutine
	channel   atomic.Uint32 // 0: none
	permitted atomic.Bool
}

// relayedParcel is a packet for a client by a connection.
type relayedParcel struct {
	from   *detour
	length int
	data   [maxDatagram]byte
}

// allocations are the engine's.
type allocations struct {
	spare sync.Pool // of *relayedParcel

	mu     sync.Mutex // guards what follows
	at     map[netip.AddrPort]*allocation
	number uint64 // of the last detour
}

func (s *allocations) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// PacketConn opens the relayed address of a TURN client without a socket. client is where its packets come from; by is the
// one of Clients by which they do, nil where they come by a connection: then they are written to what is returned, and what is for
// the client comes out of it. meter is asked, by any goroutine and without waiting, for each packet that is to pass, in from our
// media or out to it; false drops it. The address passes nothing until Bind. It ends with Close. ErrClosed where the engine is closed,
// os.ErrExist where the address is in use.
func (e *Engine) PacketConn(relay, client netip.AddrPort, by net.PacketConn, meter func(in bool, size int) bool) (PacketConn, error) {
	a := &allocation{
		engine: e, at: relay, name: sockaddrOf(relay), meter: meter, done: make(chan struct{}), via: int(relay.Port()) % len(e.workers),
	}
	port, ok := by.(*clientPort)
	if ok {
		a.port = port
		name := sockaddrOf(client)
		a.key = name.source(port.listen)
		a.client.set(client)
		a.via = port.reached(client, &a.client)
	} else {
		a.parcels = make(chan *relayedParcel, waitingParcel)
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.ctx.Err() != nil {
		return nil, ErrClosed
	}
	e.allocations.mu.Lock()
	defer e.allocations.mu.Unlock()
	if e.allocations.at[relay] != nil {
		return nil, os.ErrExist
	}
	e.allocations.at[relay] = a
	if a.port != nil {
		for _, w := range e.workers {
			w.post(func(w *worker) { w.clients[a.key] = a })
		}
	}
	return a, nil
}

// Bind lets packets pass between a relayed address and one of our media ports, as its client names it: by a channel (RFC 8656 §12),
// or, with channel 0, by a permission (§9), without which nothing goes to the client. What is no port of ours is not bound.
func (e *Engine) Bind(relay, peer netip.AddrPort, channel uint16) {
	e.allocations.mu.Lock()
	defer e.allocations.mu.Unlock()
	a := e.allocations.at[relay]
	if a == nil || !e.hears(peer) {
		return
	}
	d := a.detourTo(peer)
	if d == nil {
		if len(a.all()) == maxDetours {
			return
		}
		e.allocations.number++
		d = &detour{allocation: a, peer: peer, key: source{hi: e.allocations.number, listen: detourListen}}
		list := append(slices.Clone(a.all()), d)
		a.detours.Store(&list)
	}
	if channel == 0 {
		d.permitted.Store(true)
		return
	}
	d.channel.Store(uint32(channel))
}

// Unbind takes a channel, or with channel 0 a permission, back.
func (e *Engine) Unbind(relay, peer netip.AddrPort, channel uint16) {
	e.allocations.mu.Lock()
	defer e.allocations.mu.Unlock()
	a := e.allocations.at[relay]
	if a == nil {
		return
	}
	switch d := a.detourTo(peer); {
	case d == nil:
	case channel == 0:
		d.permitted.Store(false)
	default:
		d.channel.CompareAndSwap(uint32(channel), 0)
	}
}

// hears says whether an address has the port of a media listener of its family. That it is ours, too, whoever calls Bind knows: we may
// be seen by another address.
func (e *Engine) hears(peer netip.AddrPort) bool {
	return slices.ContainsFunc(e.listens, func(l netip.AddrPort) bool {
		return l.Port() == peer.Port() && l.Addr().Unmap().Is4() == peer.Addr().Is4()
	})
}

func (a *allocation) all() []*detour {
	if list := a.detours.Load(); list != nil {
		return *list
	}
	return nil
}

func (a *allocation) detourTo(peer netip.AddrPort) *detour {
	for _, d := range a.all() {
		if d.peer == peer {
			return d
		}
	}
	return nil
}

// byChannel finds the detour of a channel; nil: it is not bound.
func (a *allocation) byChannel(number uint16) *detour {
	for _, d := range a.all() {
		if d.channel.Load() == uint32(number) {
			return d
		}
	}
	return nil
}

func (a *allocation) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// deliver leaves a packet for a client by a connection; false where the connection does not keep up.
func (a *allocation) deliver(from *detour, p []byte) bool {
	if len(a.parcels) == cap(a.parcels) {
		return false
	}
	parcel, _ := a.engine.allocations.spare.Get().(*relayedParcel)
	if parcel == nil {
		parcel = new(relayedParcel)
	}
	parcel.from, parcel.length = from, copy(parcel.data[:], p)
	select {
	case a.parcels <- parcel:
		return true
	default:
		a.engine.allocations.spare.Put(parcel)
		return false
	}
}

// ReadFromUDPAddrPort gives the next packet for a client by a connection, and which media port sent it.
func (a *allocation) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case parcel := <-a.parcels:
		n, from := copy(b, parcel.data[:parcel.length]), parcel.from.peer
		parcel.from = nil
		a.engine.allocations.spare.Put(parcel)
		return n, from, nil
	case <-a.done:
	case <-a.engine.ctx.Done():
	}
	return 0, netip.AddrPort{}, net.ErrClosed
}

// WriteToUDPAddrPort hands a client's packet to the media port at peer. What may not pass is dropped and counted.
func (a *allocation) WriteToUDPAddrPort(b []byte, peer netip.AddrPort) (int, error) {
	if a.ended() {
		return 0, net.ErrClosed
	}
	w := a.engine.workers[a.via]
	from := a.detourTo(peer)
	switch {
	case len(b) > maxDatagram:
		w.counters.drops[DropOversize].Add(1)
	case from == nil || !from.permitted.Load() && from.channel.Load() == 0:
		w.counters.drops[DropPermission].Add(1)
	case !a.meter(false, len(b)):
		w.counters.drops[DropMeter].Add(1)
	case !w.ring.push(&datagram{data: b, from: &a.name, detour: from, via: uint8(a.via)}):
		w.counters.drops[DropHandoffFull].Add(1)
	default:
		w.counters.detoured[0].Add(1)
		w.wake()
	}
	return len(b), nil
}

// ReadFrom implements net.PacketConn.
func (a *allocation) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := a.ReadFromUDPAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

// WriteTo implements net.PacketConn.
func (a *allocation) WriteTo(b []byte, to net.Addr) (int, error) {
	peer, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, os.ErrInvalid
	}
	at := peer.AddrPort()
	return a.WriteToUDPAddrPort(b, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
}

// Close ends the allocation. Safe to call twice.
func (a *allocation) Close() error {
	a.closing.Do(func() {
		close(a.done)
		s := &a.engine.allocations
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.at, a.at)
		if a.port == nil {
			return
		}
		for _, w := range a.engine.workers {
			w.post(func(w *worker) {
				if w.clients[a.key] == a {
					delete(w.clients, a.key)
				}
			})
		}
	})
	return nil
}

// LocalAddr implements net.PacketConn.
func (a *allocation) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(a.at) }

// SetDeadline implements net.PacketConn; there are no deadlines.
func (a *allocation) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.PacketConn; there are no deadlines.
func (a *allocation) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.PacketConn; there are no deadlines.
func (a *allocation) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
