package media

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	trainMost   = 16   // packets of one; the kernel takes 64 at least
	trainPacket = 1232 // bytes of a packet, which is what any path of IPv6 passes: a longer one may have to be divided, which those of a train cannot
	trainMemory = 64   // ends that are remembered while packets are gathered
)

// trains are the packets of an outbox in the order in which they are sent: those of one size to one end together, which the kernel
// takes as one and divides last of all (UDP_SEGMENT, Linux 4.18): video, and whatever else comes in bursts. Packets to one end keep
// their order.
type trains struct {
	able bool // the kernel knows trains

	messages [batchSize]unix.Mmsghdr
	vectors  [3 * batchSize]unix.Iovec // of trains of more than one, one after the other
	controls [batchSize]trainControl
	first    [batchSize]uint8 // packet of a train
	last     [batchSize]uint8
	length   [batchSize]uint8
	next     [batchSize]uint8   // packet of the same train, by packet
	recent   [trainMemory]uint8 // the latest train to an end, by a part of the end's address; may be stale
	count    int
}

// trainControl is an endpoint's control messages, and the size of segments.
type trainControl [len(endpoint{}.control) + unix.SizeofCmsghdr + 8]byte

// open asks the kernel: one that does not know trains would send them as one packet.
func (t *trains) open(fd int) {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	t.able = err == nil
}

// refused hears why a train was not taken: a device that cannot checksum takes none ever.
func (t *trains) refused(errno syscall.Errno) {
	if errno == unix.EIO {
		t.able = false
	}
}

// gather makes trains of what is queued.
func (t *trains) gather(o *outbox) {
	t.count = 0
	for i := range o.count {
		if !t.join(o, i) {
			t.first[t.count], t.last[t.count], t.length[t.count] = uint8(i), uint8(i), 1
			t.count++
		}
	}
	used := 0
	for i := range t.count {
		t.messages[i].Hdr = o.messages[t.first[i]].Hdr
		if t.length[i] > 1 {
			used += t.couple(o, i, t.vectors[used:])
		}
	}
}

// join puts a packet behind the latest one to the same end if that has its size.
func (t *trains) join(o *outbox, i int) bool {
	h := &o.messages[i].Hdr
	if !t.able || o.size(i) > trainPacket {
		return false
	}
	place := &t.recent[(uintptr(unsafe.Pointer(h.Name))>>5)%trainMemory]
	at := int(*place)
	*place = uint8(t.count)
	if at >= t.count || t.length[at] == trainMost {
		return false
	}
	first := int(t.first[at])
	if o.messages[first].Hdr.Name != h.Name || o.sockets[first] != o.sockets[i] || o.messages[first].Hdr.Iovlen != h.Iovlen || o.size(first) != o.size(i) {
		return false
	}
	t.next[t.last[at]], t.last[at] = uint8(i), uint8(i)
	t.length[at]++
	*place = uint8(at)
	return true
}

// couple makes one message of a train's packets, in vectors, and gives how many of them it took.
func (t *trains) couple(o *outbox, train int, vectors []unix.Iovec) int {
	i, used := t.first[train], 0
	h := &t.messages[train].Hdr
	for range t.length[train] {
		of := &o.messages[i].Hdr
		used += copy(vectors[used:], unsafe.Slice(of.Iov, of.Iovlen))
		i = t.next[i]
	}
	h.Iov, h.Iovlen = &vectors[0], uint64(used)
	b := &t.controls[train]
	n := 0
	if h.Controllen > 0 {
		n = copy(b[:], unsafe.Slice(h.Control, h.Controllen))
	}
	binary.NativeEndian.PutUint64(b[n:], unix.SizeofCmsghdr+2)
	binary.NativeEndian.PutUint32(b[n+8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(b[n+12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[n+16:], uint16(o.size(int(t.first[train]))))
	h.Control, h.Controllen = &b[0], uint64(n+unix.SizeofCmsghdr+8)
	return used
}
