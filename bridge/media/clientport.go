package media

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// clientPort is a UDP port of TURN's clients, a PacketConn. The workers have its sockets and switch ChannelData; what else comes in is
// the control plane's, to which it is passed over a ring.
type clientPort struct {
	// static after construction
	engine *Engine
	listen uint8 // in the workers' browsers
	at     netip.AddrPort

	// any goroutine
	ring    *ring
	arrived chan struct{}
	done    chan struct{} // closed by Close
	closing sync.Once

	mu   sync.Mutex // guards what follows
	from netip.AddrPort
	to   localAddr // where the message in hand was sent to
	via  int
}

// openClients binds the ports of TURN's clients. Another process that has one is an error, whatever it shares.
func (e *Engine) openClients() error {
	for _, at := range e.cfg.Clients {
		at, err := freeAddr(at)
		if err != nil {
			return err
		}
		fds, bound, err := listenBrowsers(at, len(e.workers), e.cfg.DSCP)
		if err != nil {
			return err
		}
		p := &clientPort{
			engine: e, listen: uint8(len(e.listens) + len(e.clients)), at: bound,
			ring: newRing(), arrived: make(chan struct{}, 1), done: make(chan struct{}),
		}
		e.clients = append(e.clients, p)
		if err := e.watch(fds, int32(p.listen)); err != nil {
			return err
		}
	}
	return nil
}

// Clients are the ports of Config.Clients, for the control plane: out of each come the messages of TURN's clients, and what is
// written to it goes to them. Their ChannelData never comes out.
func (e *Engine) Clients() []PacketConn {
	list := make([]PacketConn, len(e.clients))
	for i, p := range e.clients {
		list[i] = p
	}
	return list
}

// deliver passes a message on without waiting; false where the control plane does not keep up.
func (p *clientPort) deliver(d *datagram) bool {
	if !p.ring.push(d) {
		return false
	}
	select {
	case p.arrived <- struct{}{}:
	default:
	}
	return true
}

// reached is the worker by whose socket the message in hand came, if it is that client's, and the address of ours to which it was sent:
// answers leave from there.
func (p *clientPort) reached(client netip.AddrPort) (via int, local localAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from != client {
		return 0, localAddr{}
	}
	return p.via, p.to
}

// ReadFromUDPAddrPort gives the next message; one goroutine calls it.
func (p *clientPort) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		c := p.ring.peek()
		if c != nil {
			n, from := copy(b, c.data[:c.length]), c.from.addrPort()
			p.mu.Lock()
			p.from, p.to, p.via = from, c.to, int(c.via)
			p.mu.Unlock()
			p.ring.advance()
			return n, from, nil
		}
		select {
		case <-p.arrived:
		case <-p.done:
			return 0, netip.AddrPort{}, net.ErrClosed
		case <-p.engine.ctx.Done():
			return 0, netip.AddrPort{}, net.ErrClosed
		}
	}
}

// WriteToUDPAddrPort sends to a client at once. What the kernel does not take is lost, as on any network.
func (p *clientPort) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	p.engine.gate.RLock() // the sockets stay open meanwhile
	defer p.engine.gate.RUnlock()
	if p.engine.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	via, local := p.reached(to)
	e := endpointOf(sockaddrOf(to), local)
	if a := p.allocationOf(to); a != nil {
		via, e = a.via, a.client
	}
	_, err := unix.SendmsgN(p.engine.workers[via].browsers[p.listen], b, e.control[:e.size], unixAddr(to), unix.MSG_DONTWAIT)
	return len(b), os.NewSyscallError("sendmsg", err)
}

func (p *clientPort) allocationOf(client netip.AddrPort) *allocation {
	name := sockaddrOf(client)
	s := &p.engine.allocations
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[name.source(p.listen)]
}

func unixAddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Unmap().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// ReadFrom implements net.PacketConn.
func (p *clientPort) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.ReadFromUDPAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

// WriteTo implements net.PacketConn.
func (p *clientPort) WriteTo(b []byte, to net.Addr) (int, error) {
	client, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, os.ErrInvalid
	}
	at := client.AddrPort()
	return p.WriteToUDPAddrPort(b, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
}

// Close ends the reading; the sockets close with the engine. Safe to call twice.
func (p *clientPort) Close() error {
	p.closing.Do(func() { close(p.done) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (p *clientPort) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.at) }

// SetDeadline implements net.PacketConn; there are no deadlines.
func (p *clientPort) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.PacketConn; there are no deadlines.
func (p *clientPort) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.PacketConn; there are no deadlines.
func (p *clientPort) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
