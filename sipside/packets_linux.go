package sipside

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tandem/sipside/raw"
)

// packetSocket is a UDP socket that one goroutine at a time reads in batches and any writes. The runtime's poller knows an epoll that
// holds it, not the socket: else each datagram that comes while others collect would wake a thread. Calls that cannot wait are raw:
// each that the scheduler is told of wakes its monitor where the process was asleep.
type packetSocket struct {
	// static after construction
	v6   bool
	file *os.File // of the epoll
	raw  syscall.RawConn

	// the reader's
	drained bool // the last batch had room
	failed  bool // the socket has an error
	events  [2]unix.EpollEvent
	check   func(uintptr) bool // happened, made once

	mu sync.RWMutex
	// guarded by mu
	open  bool // what follows is
	fd    int
	epoll int // the socket is armed in it for one event at a time
	timer int // a timerfd, for the runtime's timers wake the monitor, too
}

// What an event of the epoll is about.
const (
	forSocket = iota
	forTimer
)

const batchSize = 16

// inbox is a batch of datagrams, valid until the next one.
type inbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // has room for both families
	buffers  [batchSize][maxDatagram]byte     // of which the kernel touches what it fills
	zones    map[uint32]string                // names of links, by their index
}

// errQueued says that ICMP errors wait, and no datagram.
var errQueued = os.NewSyscallError("recvmmsg", unix.EPROTO)

// newPacketSocket takes a socket over.
func newPacketSocket(sock *net.UDPConn) (*packetSocket, error) {
	p := &packetSocket{open: true, fd: -1, epoll: -1, timer: -1, v6: sock.LocalAddr().(*net.UDPAddr).IP.To4() == nil}
	p.check = p.happened
	err := errors.Join(p.duplicate(sock), p.watch())
	_ = sock.Close()
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// duplicate takes a descriptor of our own, which no poller knows.
func (p *packetSocket) duplicate(sock *net.UDPConn) error {
	raw, err := sock.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { p.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return errors.Join(err, os.NewSyscallError("fcntl", failed))
}

func (p *packetSocket) watch() (err error) {
	if p.timer, err = raw.NewTimer(); err != nil {
		return err
	}
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(p.epoll, true); err != nil { // what os.NewFile takes as a sign that it can be polled
		return os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(p.epoll), "epoll")
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return err
	}
	disarmed, ticking := unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: forSocket}, unix.EpollEvent{Events: unix.EPOLLIN, Fd: forTimer}
	return os.NewSyscallError("epoll_ctl", errors.Join(
		unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.fd, &disarmed), unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.timer, &ticking)))
}

// Close ends what waits in receive. Safe to call twice.
func (p *packetSocket) Close() error {
	p.mu.Lock()
	if !p.open {
		p.mu.Unlock()
		return net.ErrClosed
	}
	p.open = false
	err := errors.Join(closeOpen(p.fd), closeOpen(p.timer))
	p.mu.Unlock()
	if p.file == nil {
		return errors.Join(err, closeOpen(p.epoll))
	}
	return errors.Join(err, p.file.Close()) // waits for who reads
}

func closeOpen(fd int) error {
	if fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// control gives the descriptor to f, unless the socket is closed.
func (p *packetSocket) control(f func(fd uintptr)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.open {
		f(uintptr(p.fd))
	}
}

func newInbox() *inbox {
	b := &inbox{zones: map[uint32]string{}}
	for i := range b.messages {
		b.vectors[i] = unix.Iovec{Base: &b.buffers[i][0], Len: maxDatagram}
		h := &b.messages[i].Hdr
		h.Iov, h.Iovlen = &b.vectors[i], 1
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	}
	return b
}

// receive waits for datagrams and says how many came. An error is the socket's end (net.ErrClosed), or passes.
func (p *packetSocket) receive(in *inbox) (int, error) {
	for {
		if p.drained {
			if err := p.wait(); err != nil {
				return 0, err
			}
		}
		if n, err := p.take(in); n > 0 || err != nil {
			return n, err
		}
		if p.failed {
			p.failed = false
			return 0, errQueued
		}
	}
}

// take gives what is there.
func (p *packetSocket) take(in *inbox) (int, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.open {
		return 0, net.ErrClosed
	}
	for i := range in.messages {
		in.messages[i].Hdr.Namelen = unix.SizeofSockaddrInet6
	}
	n, errno := raw.Receive(p.fd, in.messages[:])
	switch errno {
	case 0:
		p.drained = n < batchSize
		return n, nil
	case unix.EAGAIN:
		p.drained = true
		return 0, nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("recvmmsg", errno)
}

// datagram is one of the batch.
func (b *inbox) datagram(i int) ([]byte, netip.AddrPort) {
	return b.buffers[i][:b.messages[i].Len], b.source(i)
}

func (b *inbox) source(i int) netip.AddrPort {
	name := &b.names[i]
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	at := binary.BigEndian.Uint16(port[:])
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), at)
	}
	addr := netip.AddrFrom16(name.Addr).Unmap()
	if name.Scope_id != 0 {
		addr = addr.WithZone(b.zone(name.Scope_id))
	}
	return netip.AddrPortFrom(addr, at)
}

// zone is a link's name, or else its number, as the net package writes it.
func (b *inbox) zone(index uint32) string {
	name, known := b.zones[index]
	if !known {
		name = strconv.Itoa(int(index))
		if link, err := net.InterfaceByIndex(int(index)); err == nil {
			name = link.Name
		}
		b.zones[index] = name
	}
	return name
}

// wait ends when the socket has something.
func (p *packetSocket) wait() error {
	armed := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: forSocket}
	p.control(func(fd uintptr) { _ = raw.Watch(p.epoll, int(fd), &armed) })
	return p.sleep()
}

// collect lets datagrams come for d, above zero.
func (p *packetSocket) collect(d time.Duration) {
	p.drained = false
	set := false
	p.control(func(uintptr) { set = raw.SetTimer(p.timer, d) == nil })
	if set {
		_ = p.sleep() // who reads sees a closed socket
	}
}

// sleep ends with an event of the epoll, or by Close.
func (p *packetSocket) sleep() error {
	if p.raw.Read(p.check) != nil {
		return net.ErrClosed
	}
	return nil
}

// happened takes the epoll's events.
func (p *packetSocket) happened(epoll uintptr) bool {
	n := raw.Poll(int(epoll), p.events[:])
	for _, e := range p.events[:n] {
		switch {
		case e.Fd == forTimer:
			p.control(func(uintptr) { raw.ReadTimer(p.timer) })
		case e.Events&unix.EPOLLERR != 0:
			p.failed = true
		}
	}
	return n > 0
}

// How often, and how long each time, a write waits for room in the socket's buffer.
const (
	roomTries = 10
	roomWait  = 50 * time.Millisecond
)

// send writes a datagram.
func (p *packetSocket) send(data []byte, to netip.AddrPort) error {
	for range roomTries {
		errno := p.sendOnce(data, to)
		switch errno {
		case 0:
			return nil
		case unix.EAGAIN:
			p.awaitRoom()
		case unix.EINTR:
		case unix.EBADF:
			return net.ErrClosed
		default:
			return os.NewSyscallError("sendto", errno)
		}
	}
	return os.NewSyscallError("sendto", unix.EAGAIN)
}

func (p *packetSocket) sendOnce(data []byte, to netip.AddrPort) syscall.Errno {
	if to.Addr().Is4() == p.v6 || len(data) == 0 { // nothing is ever empty
		return unix.EAFNOSUPPORT
	}
	var name unix.RawSockaddrInet6
	size := writeName(&name, to)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.open {
		return unix.EBADF
	}
	return raw.SendOne(p.fd, data, (*byte)(unsafe.Pointer(&name)), size)
}

// writeName makes the kernel's form of an address and gives its size.
func writeName(name *unix.RawSockaddrInet6, to netip.AddrPort) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	binary.BigEndian.PutUint16(port[:], to.Port())
	addr := to.Addr()
	if addr.Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		v4.Family, v4.Addr = unix.AF_INET, addr.As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family, name.Addr = unix.AF_INET6, addr.As16()
	name.Scope_id = uint32(link(addr.Zone()))
	return unix.SizeofSockaddrInet6
}

// awaitRoom waits until the socket takes more; a call that may last, so the scheduler is told.
func (p *packetSocket) awaitRoom() {
	p.control(func(fd uintptr) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(roomWait.Milliseconds()))
	})
}
