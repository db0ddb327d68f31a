package media

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxTCP         = 16384     // connections of all legs
	maxTCPWaiting  = 1024      // connections that have not shown their first check
	maxTCPStranger = 64        // of these, from one address (IPv6: from one /64)
	tcpSendBuffer  = 128 << 10 // the kernel's; more is only delay
	acceptPause    = 50 * time.Millisecond
)

// tcpDoor is where browsers' TCP connections come in, until a worker has them: bounded in number and time, for here nobody
// has proven anything.
type tcpDoor struct {
	// static after construction
	listeners []net.Listener

	// guarded by mu
	mu      sync.Mutex
	waiting map[netip.Prefix]int
	count   int // in waiting
	number  uint64
	conns   map[*tcpConn]struct{} // in the workers' hands
}

func newTCPDoor() *tcpDoor {
	return &tcpDoor{waiting: map[netip.Prefix]int{}, conns: map[*tcpConn]struct{}{}}
}

// enter admits a connection to the time before its first check; false where too many are there.
func (d *tcpDoor) enter(from netip.Prefix) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count >= maxTCPWaiting || d.waiting[from] >= maxTCPStranger || len(d.conns)+d.count >= maxTCP {
		return false
	}
	d.waiting[from]++
	d.count++
	return true
}

func (d *tcpDoor) pass(from netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count--
	if d.waiting[from]--; d.waiting[from] == 0 {
		delete(d.waiting, from)
	}
}

// add numbers a connection on its way to a worker.
func (d *tcpDoor) add(c *tcpConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.number++
	c.key = source{hi: d.number, listen: tcpListen}
	d.conns[c] = struct{}{}
}

func (d *tcpDoor) leave(c *tcpConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

func (d *tcpDoor) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// left are the connections that no worker closed; called when there is no worker any more.
func (d *tcpDoor) left() []*tcpConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.conns))
}

func (d *tcpDoor) close() {
	for _, l := range d.listeners {
		_ = l.Close()
	}
}

// listenTCP opens the TCP listener beside a UDP one.
func listenTCP(at netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if at.Addr().Unmap().Is4() {
		network = "tcp4"
	}
	l, err := net.Listen(network, at.String())
	if err != nil {
		return nil, fmt.Errorf("media: listen: %w", err)
	}
	return l, nil
}

// accept takes connections until the listener closes.
func (e *Engine) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err == nil {
			e.running.Go(func() { e.ServeTCP(conn, nil) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		e.cfg.Log.Warn("tcp connection not accepted", "err", err) // no descriptors: a moment later there may be some
		select {
		case <-e.ctx.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

// ServeTCP takes a browser's connection to a passive TCP candidate (RFC 6544), of which first has been read already. It
// waits for the check with which the connection has to begin (Limits.FirstCheck), and returns when a leg has the connection or
// it is refused, which is counted. conn is closed in any case; where a leg takes over, that goes on with a duplicate of the
// descriptor, so conn has to be a syscall.Conn (a *net.TCPConn). Safe for concurrent use.
func (e *Engine) ServeTCP(conn net.Conn, first []byte) {
	defer conn.Close()
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		e.dropTCP(DropProtocol)
		return
	}
	from := neighbourhood(at.Addr().Unmap())
	if !e.door.enter(from) {
		e.dropTCP(DropTCPLimit)
		return
	}
	defer e.door.pass(from)
	stop := context.AfterFunc(e.ctx, func() { _ = conn.Close() })
	defer stop()
	bytes, leg, reason := e.firstFrame(conn, first)
	if leg == nil {
		e.dropTCP(reason)
		return
	}
	e.handOver(conn, leg, &tcpConn{leg: leg, name: sockaddrOf(at), in: bytes})
}

// handOver gives a leg's worker the connection.
func (e *Engine) handOver(conn net.Conn, l *Leg, c *tcpConn) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.ctx.Err() != nil {
		return
	}
	var err error
	if c.fd, err = duplicate(conn, l.engine.cfg.DSCP); err != nil {
		e.cfg.Log.Warn("tcp connection not taken over", "err", err)
		return
	}
	e.door.add(c)
	l.do(func(w *worker, l *Leg) { w.adoptTCP(l, c) })
}

func (e *Engine) dropTCP(r DropReason) { e.workers[0].counters.drops[r].Add(1) }

// neighbourhood is whom a stranger's address stands for.
func neighbourhood(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// firstFrame reads until the first packet is whole, and gives all that was read with the leg that its ufrag names.
func (e *Engine) firstFrame(conn net.Conn, first []byte) ([]byte, *Leg, DropReason) {
	_ = conn.SetReadDeadline(time.Now().Add(e.cfg.Limits.FirstCheck))
	p := make([]byte, len(first), max(len(first), 512))
	copy(p, first)
	for {
		packet, _, err := cutFrame(p)
		if err == errFrameLong {
			return nil, nil, DropProtocol
		}
		if err == nil {
			l, reason := e.namedLeg(packet)
			return p, l, reason
		}
		p = slices.Grow(p, 512)
		n, err := conn.Read(p[len(p):cap(p)])
		if n == 0 && err != nil {
			return nil, nil, DropTCPSilent
		}
		p = p[:len(p)+n]
	}
}

// namedLeg finds the leg for which a check is; its worker verifies it.
func (e *Engine) namedLeg(packet []byte) (*Leg, DropReason) {
	kind, user, ok := scanSTUN(packet)
	ufrag, _, found := cutColon(user)
	switch {
	case !ok || !found:
		return nil, DropSTUNMalformed
	case kind != stunBindRequest:
		return nil, DropSTUNUnexpected
	}
	return e.legOf(ufrag)
}

// duplicate gives a descriptor of the connection that outlives it: not blocking, as the original is, without Nagle's delay.
func duplicate(conn net.Conn, dscp int) (fd int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("media: a %T has no descriptor", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(original uintptr) {
		if fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0); failed != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = mark(fd, familyOf(conn.LocalAddr()), dscp)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, tcpSendBuffer)
	})
	return fd, errors.Join(err, failed)
}
