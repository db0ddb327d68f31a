package media

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"tandem/sipside/raw"
)

const (
	batchSize   = 128  // datagrams in one worker's hands at a time
	bufferSize  = 2048 // of it maxDatagram for what is received, behind headRoom, the rest for tags that encryption adds
	headRoom    = channelHeader
	portBatch   = 8 // read at once from a SIP-side socket that had more than one
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
		b.vectors[i].Base = &b.buffers[i][headRoom]
		b.vectors[i].Len = maxDatagram
		h := &b.messages[i].Hdr
		h.Iov, h.Iovlen = &b.vectors[i], 1
		h.Name = &b.names[i][0]
		h.Control = &b.controls[i][0]
	}
	return b
}

// receive reads up to count datagrams into the buffers from b.next on, without waiting, and gives how many came.
func (b *inbox) receive(fd, count int) (int, syscall.Errno) {
	for i := b.next; i < b.next+count; i++ {
		h := &b.messages[i].Hdr
		h.Namelen, h.Controllen, h.Flags = uint32(len(sockaddr{})), controlSize, 0
	}
	return raw.Receive(fd, b.messages[b.next:b.next+count])
}

// receiveOne does the same for one datagram, cheaper; it learns no local address.
func (b *inbox) receiveOne(fd int) (int, syscall.Errno) {
	m := &b.messages[b.next]
	m.Hdr.Namelen, m.Hdr.Controllen, m.Hdr.Flags = uint32(len(sockaddr{})), 0, 0
	n, errno := raw.ReceiveOne(fd, b.buffers[b.next][headRoom:headRoom+maxDatagram], &b.names[b.next][0], &m.Hdr.Namelen)
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
	d.data = b.buffers[i][headRoom : headRoom+m.Len : bufferSize]
	d.from = &b.names[i]
	d.to = localAddr{}
	if m.Hdr.Controllen > 0 {
		d.to = localAddrOf(b.controls[i][:min(m.Hdr.Controllen, controlSize)])
	}
	return m.Hdr.Flags&unix.MSG_TRUNC == 0
}

// copyIn puts a datagram from elsewhere into the next buffer, so that it too has room for tags.
func (b *inbox) copyIn(data []byte) []byte {
	n := copy(b.buffers[b.next][headRoom:headRoom+maxDatagram], data)
	out := b.buffers[b.next][headRoom : headRoom+n : bufferSize]
	b.next++
	return out
}

// asChannelData puts the header of ChannelData before a datagram that has been received as the i-th and gives both.
func (b *inbox) asChannelData(i int, channel uint32, size int) []byte {
	p := b.buffers[i][:channelHeader+size]
	binary.BigEndian.PutUint16(p, uint16(channel))
	binary.BigEndian.PutUint16(p[2:], uint16(size))
	return p
}

func (b *inbox) full(want int) bool { return b.next+want > batchSize }
