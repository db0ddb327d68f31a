package media

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const waitingParcel = 128 // packets on their way to whoever reads an allocation

// PacketConn is a net.PacketConn that makes no garbage for addresses.
type PacketConn = interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// allocation is a TURN client's relayed address (RFC 8656 §2.2): from there its client and our media talk within the process. No socket
// has it, unless there are other peers. Of a client by UDP the workers take and send the packets themselves; of one by a connection
// somebody else does, by the allocation's own methods, which are those of a PacketConn.
type allocation struct {
	// static after construction
	engine *Engine
	fd     int // the socket's; -1: there is none
	at     netip.AddrPort
	name   sockaddr    // at
	port   *clientPort // by which its client comes; nil: a connection
	key    source      // the client, as the workers see it
	client *endpoint   // the same; nil without port
	via    int         // the worker whose socket the client's packets come in by
	meter  func(in bool, size int) bool

	// any goroutine
	detours atomic.Pointer[[]*detour] // an immutable list
	parcels chan *relayedParcel
	done    chan struct{} // closed by Close
	closing sync.Once
	gate    sync.RWMutex // whoever is no worker sends by fd under it, and Close locks it first
	leaving atomic.Int32 // workers that may still send by fd, once it is closing

	// owned by the worker via
	number int32 // in its relayed
}

// relayedParcel is a packet for a client by a connection.
type relayedParcel struct {
	from   netip.AddrPort
	length int
	data   [maxDatagram]byte
}

// allocations are the engine's.
type allocations struct {
	spare sync.Pool // of *relayedParcel

	mu      sync.Mutex // guards what follows
	at      map[netip.AddrPort]*allocation
	clients map[source]*allocation // by UDP
	sockets map[*allocation]struct{}
	number  uint64 // of the last detour
}

func (s *allocations) init() {
	s.at, s.clients, s.sockets = map[netip.AddrPort]*allocation{}, map[source]*allocation{}, map[*allocation]struct{}{}
}

func (s *allocations) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// PacketConn opens the relayed address of a TURN client. client is where its packets come from; by is the one of Clients by which they
// do, nil where they come by a connection: then they are written to what is returned, and what is for the client comes out of it.
// socket has the address where there are other peers than our media, and is the engine's from then on; what it hears from peers
// without a channel comes out of what is returned, too; nil: the address is nobody's, a name. meter is asked, by any
// goroutine and without waiting, for each packet that passes between the client and a detour, in to the client or out; false drops
// it. Nothing passes until Bind. It ends with Close. ErrClosed where the engine is closed, os.ErrExist where the address is in use.
func (e *Engine) PacketConn(relay, client netip.AddrPort, by net.PacketConn, socket *net.UDPConn, meter func(in bool, size int) bool) (PacketConn, error) {
	a := &allocation{
		engine: e, fd: -1, at: relay, name: sockaddrOf(relay), meter: meter, done: make(chan struct{}), via: int(relay.Port()) % len(e.workers),
	}
	if port, ok := by.(*clientPort); ok {
		a.port = port
		name := sockaddrOf(client)
		a.key = name.source(port.listen)
		var local localAddr
		a.via, local = port.reached(client)
		a.client = endpointOf(name, local)
	}
	if a.port == nil || socket != nil {
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
	if socket != nil {
		var err error
		if a.fd, err = takeSocket(socket); err != nil {
			return nil, err
		}
		e.allocations.sockets[a] = struct{}{}
	}
	e.allocations.open(a)
	return a, nil
}

// open makes an allocation known. Called with mu held.
func (s *allocations) open(a *allocation) {
	s.at[a.at] = a
	if a.port == nil {
		return
	}
	s.clients[a.key] = a
	for _, w := range a.engine.workers {
		w.post(func(w *worker) {
			w.clients[a.key] = a
			if a.fd >= 0 && w.id == a.via {
				w.watchAllocation(a)
			}
		})
	}
}

func (a *allocation) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// deliver leaves a packet for a client with whoever reads; false where that one does not keep up.
func (a *allocation) deliver(from netip.AddrPort, p []byte) bool {
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

// ReadFromUDPAddrPort gives the next packet that the workers do not send to the client themselves, and whose it is.
func (a *allocation) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case parcel := <-a.parcels:
		n, from := copy(b, parcel.data[:parcel.length]), parcel.from
		a.engine.allocations.spare.Put(parcel)
		return n, from, nil
	case <-a.done:
	case <-a.engine.ctx.Done():
	}
	return 0, netip.AddrPort{}, net.ErrClosed
}

// sendByHand sends to a peer by the socket, for whoever is no worker. Whether that is allowed, it knows.
func (a *allocation) sendByHand(b []byte, peer netip.AddrPort) (int, error) {
	a.gate.RLock()
	defer a.gate.RUnlock()
	if a.ended() {
		return 0, net.ErrClosed
	}
	if !a.meter(false, len(b)) {
		a.engine.workers[a.via].counters.drops[DropMeter].Add(1)
		return len(b), nil
	}
	err := unix.Sendto(a.fd, b, unix.MSG_DONTWAIT, unixAddr(peer))
	return len(b), os.NewSyscallError("sendto", err)
}

// WriteToUDPAddrPort hands a client's packet to the media port at peer, or sends it to another peer. What may not pass is dropped
// and counted.
func (a *allocation) WriteToUDPAddrPort(b []byte, peer netip.AddrPort) (int, error) {
	if a.ended() {
		return 0, net.ErrClosed
	}
	w := a.engine.workers[a.via]
	from := a.detourTo(peer)
	if a.fd >= 0 && (from == nil || from.far != nil) {
		return a.sendByHand(b, peer)
	}
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
		a.gate.Lock()
		close(a.done)
		a.gate.Unlock()
		s := &a.engine.allocations
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.at, a.at)
		if a.port == nil {
			return
		}
		if s.clients[a.key] == a {
			delete(s.clients, a.key)
		}
		a.leaving.Store(int32(len(a.engine.workers)))
		for _, w := range a.engine.workers {
			w.post(func(w *worker) { w.leaveAllocation(a) })
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
