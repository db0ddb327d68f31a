package media

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"tandem/sipside/raw"
)

// outbox is the packets that go out at the end of a batch. They lie in the inbox's buffers.
type outbox struct {
	messages [batchSize]unix.Mmsghdr
	vectors  [batchSize][3]unix.Iovec // of a frame: header, packet, padding; else the packet's in the middle alone
	frames   [batchSize][frameMost]byte
	padding  [3]byte // zeros
	sockets  [batchSize]int32
	legs     [batchSize]*Leg
	count    int
	trains   trains
}

func newOutbox() *outbox {
	o := &outbox{}
	for i := range o.messages {
		o.messages[i].Hdr.Iov, o.messages[i].Hdr.Iovlen = &o.vectors[i][1], 1
		o.vectors[i][0].Base, o.vectors[i][2].Base = &o.frames[i][0], &o.padding[0]
	}
	return o
}

// add queues a packet; false where the outbox is full. The packet's memory must stay until flush.
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

// size is how long a queued packet is with what stands before and behind it.
func (o *outbox) size(i int) int {
	v := &o.vectors[i]
	if o.messages[i].Hdr.Iovlen == 1 {
		return int(v[1].Len)
	}
	return int(v[0].Len + v[1].Len + v[2].Len)
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

// flush sends everything, one system call for each run of trains that share a socket. What cannot be sent is counted.
func (o *outbox) flush(w *worker) {
	t := &o.trains
	t.gather(o)
	for at := 0; at < t.count; {
		end := at + 1
		for end < t.count && o.sockets[t.first[end]] == o.sockets[t.first[at]] {
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
			o.sent(w, i)
		}
		return n
	case unix.EINTR:
		return 0
	case unix.EAGAIN, unix.ENOBUFS:
		o.lost(w, at, DropSendBuffer)
	default:
		if o.trains.length[at] > 1 {
			o.trains.refused(errno)
			o.sendSingly(w, at)
			return 1
		}
		o.lost(w, at, DropSendError) // an ICMP error of an earlier packet, a route that is gone: it stands for one packet
	}
	return 1
}

// sent counts the packets of a train that the kernel took.
func (o *outbox) sent(w *worker, train int) {
	i := o.trains.first[train]
	for range o.trains.length[train] {
		w.sent(o.legs[i], int(o.vectors[i][1].Len))
		i = o.trains.next[i]
	}
}

// lost counts those that it did not take.
func (o *outbox) lost(w *worker, train int, why DropReason) {
	i := o.trains.first[train]
	for range o.trains.length[train] {
		w.drop(o.legs[i], why)
		i = o.trains.next[i]
	}
}

// transmit gives how many trains of a run the kernel took. A single packet goes by sendto, which is cheaper.
func (o *outbox) transmit(at, end int) (int, syscall.Errno) {
	t := &o.trains
	i := t.first[at]
	h := &t.messages[at].Hdr
	if end == at+1 && h.Controllen == 0 && h.Iovlen == 1 {
		return 1, raw.SendOne(int(o.sockets[i]), unsafe.Slice(h.Iov.Base, h.Iov.Len), h.Name, h.Namelen)
	}
	return raw.Send(int(o.sockets[i]), t.messages[at:end])
}

// sendSingly sends the packets of a train that the kernel does not take as one, each for itself.
func (o *outbox) sendSingly(w *worker, train int) {
	i := o.trains.first[train]
	for range o.trains.length[train] {
		if raw.SendMessage(int(o.sockets[i]), &o.messages[i].Hdr) == 0 {
			w.sent(o.legs[i], int(o.vectors[i][1].Len))
		} else {
			w.drop(o.legs[i], DropSendError)
		}
		i = o.trains.next[i]
	}
}
