package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize   = 64
	sendRoom    = 512  // of an RTP packet with its tags
	receiveRoom = 2048 // of a datagram; a DTLS flight's are the largest
	controlRoom = 96
	socketRoom  = 4 << 20
)

// socket is one side's: bound to every address of this machine, so that a datagram may leave from, and come to, any session's.
type socket struct {
	fd   int
	port uint16
	in   inbox  // owned by the loop
	out  outbox // owned by the loop
}

// inbox is the buffers of one recvmmsg.
type inbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet4
	controls [batchSize][controlRoom]byte
	buffers  [batchSize][receiveRoom]byte
}

// outbox is the packets of one sendmmsg.
type outbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet4
	controls [batchSize]fromAddr
	buffers  [batchSize][sendRoom]byte
	count    int
}

// fromAddr is the control message that picks a datagram's source address (ip(7), IP_PKTINFO).
type fromAddr struct {
	header unix.Cmsghdr
	info   unix.Inet4Pktinfo
	_      [4]byte
}

func newFromAddr(addr [4]byte) fromAddr {
	c := fromAddr{header: unix.Cmsghdr{Level: unix.IPPROTO_IP, Type: unix.IP_PKTINFO}}
	c.header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	c.info.Spec_dst = addr
	return c
}

// openSocket binds to a port of all addresses; 0 takes a free one.
func openSocket(port uint16) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	if err := s.prepare(port); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.in.prepare()
	s.out.prepare()
	return s, nil
}

func (s *socket) prepare(port uint16) error {
	options := []struct{ level, name, value int }{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, socketRoom},
		{unix.SOL_SOCKET, unix.SO_SNDBUF, socketRoom},
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(s.fd, &unix.SockaddrInet4{Port: int(port)}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	at, err := unix.Getsockname(s.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	s.port = uint16(at.(*unix.SockaddrInet4).Port)
	return nil
}

// openPair opens an even port for RTP and the next one for RTCP.
func openPair() (rtp, rtcp *socket, err error) {
	for range 64 {
		if rtp, err = openSocket(0); err != nil {
			return nil, nil, err
		}
		if rtp.port%2 == 0 && rtp.port < 65535 {
			if rtcp, err = openSocket(rtp.port + 1); err == nil {
				return rtp, rtcp, nil
			}
		}
		unix.Close(rtp.fd)
	}
	return nil, nil, fmt.Errorf("load: no pair of ports is free: %w", err)
}

func (b *inbox) prepare() {
	for i := range b.messages {
		b.vectors[i].Base, b.vectors[i].Len = &b.buffers[i][0], receiveRoom
		h := &b.messages[i].Hdr
		h.Iov, h.Iovlen = &b.vectors[i], 1
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.controls[i][0]
	}
}

func (o *outbox) prepare() {
	for i := range o.messages {
		h := &o.messages[i].Hdr
		h.Iov, h.Iovlen = &o.vectors[i], 1
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&o.names[i])), unix.SizeofSockaddrInet4
		h.Control, h.Controllen = (*byte)(unsafe.Pointer(&o.controls[i])), uint64(unsafe.Sizeof(fromAddr{}))
	}
}

// next is the buffer of the next packet to send; valid until flush.
func (o *outbox) next() []byte { return o.buffers[o.count][:0] }

// add queues a packet that lies in the buffer of next.
func (o *outbox) add(size int, from [4]byte, to unix.RawSockaddrInet4) {
	o.vectors[o.count].Base, o.vectors[o.count].Len = &o.buffers[o.count][0], uint64(size)
	o.names[o.count], o.controls[o.count] = to, newFromAddr(from)
	o.count++
}

// flush sends what is queued and gives how many the kernel did not take.
func (s *socket) flush() (refused int) {
	for at := 0; at < s.out.count; {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.out.messages[at])),
			uintptr(s.out.count-at), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			at += int(n)
		case errno != unix.EINTR:
			refused++
			at++
		}
	}
	s.out.count = 0
	return refused
}

// send sends one datagram; any goroutine may.
func (s *socket) send(p []byte, from [4]byte, to unix.RawSockaddrInet4) error {
	control, vector := newFromAddr(from), unix.Iovec{Base: &p[0], Len: uint64(len(p))}
	h := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&to)), Namelen: unix.SizeofSockaddrInet4, Iov: &vector, Iovlen: 1,
		Control: (*byte)(unsafe.Pointer(&control)), Controllen: uint64(unsafe.Sizeof(control))}
	_, _, errno := syscall.Syscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	if errno != 0 {
		return os.NewSyscallError("sendmsg", errno)
	}
	return nil
}

// arrival is one datagram as it came in; valid until the next batch.
type arrival struct {
	data []byte
	from unix.RawSockaddrInet4
	to   [4]byte
	at   int64 // the kernel's time stamp, Unix ns
}

// receive reads one batch and hands each datagram over; it gives their number.
func (s *socket) receive(each func(*arrival)) int {
	for i := range s.in.messages {
		h := &s.in.messages[i].Hdr
		h.Namelen, h.Controllen = unix.SizeofSockaddrInet4, controlRoom
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.in.messages[0])),
		batchSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0
	}
	for i := range int(n) {
		m := &s.in.messages[i]
		a := arrival{data: s.in.buffers[i][:m.Len], from: s.in.names[i]}
		a.read(s.in.controls[i][:min(m.Hdr.Controllen, controlRoom)])
		each(&a)
	}
	return int(n)
}

// read takes the destination and the time stamp from the control messages.
func (a *arrival) read(control []byte) {
	for len(control) >= unix.SizeofCmsghdr {
		size := int(binary.NativeEndian.Uint64(control))
		level, kind := binary.NativeEndian.Uint32(control[8:]), binary.NativeEndian.Uint32(control[12:])
		if size < unix.SizeofCmsghdr || size > len(control) {
			return
		}
		body := control[unix.SizeofCmsghdr:size]
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
			a.to = [4]byte(body[8:12])
		case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(body) >= 16:
			a.at = int64(binary.NativeEndian.Uint64(body))*1e9 + int64(binary.NativeEndian.Uint64(body[8:]))
		}
		control = control[min((size+7)&^7, len(control)):]
	}
}

// rawAddr is an IPv4 address as the kernel takes it.
func rawAddr(at netip.AddrPort) unix.RawSockaddrInet4 {
	a := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: at.Addr().Unmap().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.Port))[:], at.Port())
	return a
}

// addrPort is the reverse of rawAddr.
func addrPort(a unix.RawSockaddrInet4) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:]))
}

// nap sleeps without telling the scheduler, which costs more than a short nap itself.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}
