package media

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize   = 128  // datagrams in one worker's hands at a time
	bufferSize  = 2048 // of it maxDatagram for what is received, the rest for tags that encryption adds
	portBatch   = 8    // read at once from a SIP-side socket that had more than one
	controlSize = 64
)

// inbox is a worker's receive buffers, one for each message of a batch.
type inbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]sockaddr
	controls [batchSize][controlSize]byte
	buffers  [batchSize][bufferSize]byte
	next     int // first buffer not in use
}

func newInbox() *inbox {
	b := &inbox{}
	for i := range b.messages {
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].Len = maxDatagram
		h := &b.messages[i].Hdr
		h.Iov, h.Iovlen = &b.vectors[i], 1
		h.Name = &b.names[i][0]
		h.Control = &b.controls[i][0]
	}
	return b
}

// The calls below are raw: none of them waits, and telling the scheduler of each would cost more than some of them do.

// receive reads up to count datagrams into the buffers from b.next on, without waiting, and gives how many came.
func (b *inbox) receive(fd, count int) (int, syscall.Errno) {
	for i := b.next; i < b.next+count; i++ {
		h := &b.messages[i].Hdr
		h.Namelen, h.Controllen, h.Flags = uint32(len(sockaddr{})), controlSize, 0
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[b.next])),
		uintptr(count), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// receiveOne does the same for one datagram at a third less cost; it learns no local address.
func (b *inbox) receiveOne(fd int) (int, syscall.Errno) {
	m := &b.messages[b.next]
	m.Hdr.Namelen, m.Hdr.Controllen, m.Hdr.Flags = uint32(len(sockaddr{})), 0, 0
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b.buffers[b.next])),
		maxDatagram, unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&b.names[b.next])),
		uintptr(unsafe.Pointer(&m.Hdr.Namelen)))
	if errno != 0 {
		return 0, errno
	}
	m.Len = uint32(n)
	if n > maxDatagram {
		m.Len, m.Hdr.Flags = maxDatagram, unix.MSG_TRUNC
	}
	return 1, 0
}

// load makes d the i-th buffer's datagram; false where it was too long for the buffer.
func (b *inbox) load(i int, d *datagram) bool {
	m := &b.messages[i]
	d.data = b.buffers[i][:m.Len:bufferSize]
	d.from = &b.names[i]
	d.to = localAddr{}
	if m.Hdr.Controllen > 0 {
		d.to = localAddrOf(b.controls[i][:min(m.Hdr.Controllen, controlSize)])
	}
	return m.Hdr.Flags&unix.MSG_TRUNC == 0
}

// copyIn puts a datagram from elsewhere into the next buffer, so that it too has room for tags.
func (b *inbox) copyIn(data []byte) []byte {
	n := copy(b.buffers[b.next][:maxDatagram], data)
	out := b.buffers[b.next][:n:bufferSize]
	b.next++
	return out
}

func (b *inbox) full(want int) bool { return b.next+want > batchSize }

// outbox is the packets that go out at the end of a batch. They lie in the inbox's buffers.
type outbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize][3]unix.Iovec // of a frame: header, packet, padding; else the packet's in the middle alone
	frames   [batchSize][frameMost]byte
	padding  [3]byte // zeros
	sockets  [batchSize]int32
	legs     [batchSize]*Leg
	count    int
}

func newOutbox() *outbox {
	o := &outbox{}
	for i := range o.messages {
		o.messages[i].Hdr.Iov, o.messages[i].Hdr.Iovlen = &o.vectors[i][1], 1
		o.vectors[i][0].Base, o.vectors[i][2].Base = &o.frames[i][0], &o.padding[0]
	}
	return o
}

// add queues a packet; false where the outbox is full. The packet's and the endpoint's memory must stay until flush.
func (o *outbox) add(fd int, l *Leg, to *endpoint, packet []byte) bool {
	if o.count == batchSize {
		return false
	}
	i := o.count
	h := &o.messages[i].Hdr
	h.Iov, h.Iovlen = &o.vectors[i][1], 1
	o.fill(i, fd, l, to, packet)
	return true
}

// frame is where the header of the next packet is written before addFramed; the outbox is not full.
func (o *outbox) frame(size int) []byte { return o.frames[o.count][:size] }

// addFramed queues a packet between a header, of which size bytes were written to frame, and padding. The outbox is not full.
func (o *outbox) addFramed(fd int, l *Leg, to *endpoint, size int, packet []byte, padding int) {
	i := o.count
	h := &o.messages[i].Hdr
	h.Iov, h.Iovlen = &o.vectors[i][0], 3
	o.vectors[i][0].Len, o.vectors[i][2].Len = uint64(size), uint64(padding)
	o.fill(i, fd, l, to, packet)
}

func (o *outbox) fill(i, fd int, l *Leg, to *endpoint, packet []byte) {
	o.vectors[i][1].Base, o.vectors[i][1].Len = &packet[0], uint64(len(packet))
	h := &o.messages[i].Hdr
	h.Name, h.Namelen = &to.name[0], to.nameSize
	h.Control, h.Controllen = nil, to.size
	if to.size > 0 {
		h.Control = &to.control[0]
	}
	o.sockets[i], o.legs[i] = int32(fd), l
	o.count++
}

// flush sends everything, one system call for each run of packets that share a socket. What cannot be sent is counted.
func (o *outbox) flush(w *worker) {
	for at := 0; at < o.count; {
		end := at + 1
		for end < o.count && o.sockets[end] == o.sockets[at] {
			end++
		}
		at += o.send(w, at, end)
	}
	clear(o.legs[:o.count])
	o.count = 0
}

// send tries a run and gives by how much it got ahead.
func (o *outbox) send(w *worker, at, end int) int {
	n, errno := o.transmit(at, end)
	switch errno {
	case 0:
		for i := at; i < at+n; i++ {
			w.sent(o.legs[i], int(o.vectors[i][1].Len))
		}
		return n
	case unix.EINTR:
		return 0
	case unix.EAGAIN, unix.ENOBUFS:
		w.drop(o.legs[at], DropSendBuffer)
	default: // an ICMP error of an earlier packet, a route that is gone: it stands for one packet
		w.drop(o.legs[at], DropSendError)
	}
	return 1
}

// transmit gives how many packets of a run the kernel took. A single one goes by sendto, which is cheaper.
func (o *outbox) transmit(at, end int) (int, syscall.Errno) {
	h := &o.messages[at].Hdr
	if end == at+1 && h.Controllen == 0 && h.Iovlen == 1 {
		_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(o.sockets[at]), uintptr(unsafe.Pointer(o.vectors[at][1].Base)),
			uintptr(o.vectors[at][1].Len), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(h.Name)), uintptr(h.Namelen))
		return 1, errno
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(o.sockets[at]), uintptr(unsafe.Pointer(&o.messages[at])),
		uintptr(end-at), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
