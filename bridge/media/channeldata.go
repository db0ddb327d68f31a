package media

import (
	"encoding/binary"
	"math/rand/v2"
)

const (
	channelHeader = 4
	frameMost     = 48 // what is put before a packet: a Data indication's header with an IPv6 peer
	stunData      = 0x0017
	attrPeer      = 0x0012 // XOR-PEER-ADDRESS
	attrData      = 0x0013
)

// fromClient switches what came to a port of TURN's clients: ChannelData goes on as if it had come to one of our media ports from its
// client's relayed address; the rest is the control plane's.
//
//	|0 1|  channel (0x4000–0x7fff)  |  length  | data … | padding, seldom over UDP
func (w *worker) fromClient(p *clientPort, d *datagram) {
	switch {
	case len(d.data) < channelHeader:
		w.drop(nil, DropProtocol)
		return
	case d.data[0] <= 3:
		if !p.deliver(d) {
			w.drop(nil, DropControlFull)
		}
		return
	case d.data[0] < 64 || d.data[0] > 127: // RFC 7983 §7 has 64 to 79, for RTP may be there, too; older clients (RFC 5766) have these
		w.drop(nil, DropProtocol)
		return
	}
	key := d.source()
	a := w.clients[key]
	if a == nil && w.mailbox.head.Load() != nil {
		w.drainMailbox() // it may have been opened since this round began
		a = w.clients[key]
	}
	if a == nil {
		w.drop(nil, DropAllocation)
		return
	}
	size := int(binary.BigEndian.Uint16(d.data[2:]))
	by := a.byChannel(binary.BigEndian.Uint16(d.data))
	switch {
	case size > len(d.data)-channelHeader:
		w.drop(nil, DropProtocol)
	case a.fd >= 0 && (by == nil || size == 0): // one of too many channels, or nothing
		if !p.deliver(d) {
			w.drop(nil, DropControlFull)
		}
	case by == nil:
		w.drop(nil, DropChannel)
	case !a.meter(false, size):
		w.drop(nil, DropMeter)
	case by.far != nil:
		w.queue(a.fd, nil, by.far, d.data[channelHeader:channelHeader+size])
	default:
		w.counters.detoured[0].Add(1)
		d.data = d.data[channelHeader : channelHeader+size]
		d.from, d.to, d.detour = &a.name, localAddr{}, by
		w.demux(d)
	}
}

// toClient sends a packet of our media to a TURN client; l is whose packet is counted, nil for none.
func (w *worker) toClient(by *detour, l *Leg, p []byte) {
	a := by.allocation
	if !w.mayPass(by, l, len(p)) {
		return
	}
	if a.port == nil {
		if !a.deliver(by.peer, p) {
			w.drop(l, DropControlFull)
			return
		}
		w.sent(l, len(p))
		w.counters.detoured[1].Add(1)
		return
	}
	w.counters.detoured[1].Add(1)
	if w.out.count == batchSize {
		w.out.flush(w)
	}
	fd := w.browsers[a.port.listen]
	if channel := by.channel.Load(); channel != 0 {
		binary.BigEndian.PutUint16(w.out.frame(channelHeader), uint16(channel))
		binary.BigEndian.PutUint16(w.out.frame(channelHeader)[2:], uint16(len(p)))
		w.out.addFramed(fd, l, a.client, channelHeader, p, 0)
		return
	}
	size := by.dataHeader(w.out.frame(frameMost), len(p))
	w.out.addFramed(fd, l, a.client, size, p, -len(p)&3)
}

// mayPass says whether a packet of so many bytes may go to a detour's client; what may not is counted.
func (w *worker) mayPass(by *detour, l *Leg, size int) bool {
	switch {
	case by.allocation.ended():
		w.drop(l, DropAllocation)
	case !by.permitted.Load():
		w.drop(l, DropPermission)
	case !by.allocation.meter(true, size):
		w.drop(l, DropMeter)
	default:
		return true
	}
	return false
}

// dataHeader writes what stands before the packet in a Data indication (RFC 8656 §11.5), and gives its length.
func (d *detour) dataHeader(b []byte, payload int) int {
	at := d.peer.Addr()
	address := 8
	if at.Is6() {
		address = 20
	}
	size := stunHeader + 4 + address + 4
	binary.BigEndian.PutUint16(b, stunData)
	binary.BigEndian.PutUint16(b[2:], uint16(size-stunHeader+(payload+3)&^3))
	binary.BigEndian.PutUint32(b[4:], stunMagic)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	binary.BigEndian.PutUint32(b[16:], rand.Uint32())
	p := b[stunHeader:]
	binary.BigEndian.PutUint16(p, attrPeer)
	binary.BigEndian.PutUint16(p[2:], uint16(address))
	binary.BigEndian.PutUint16(p[4:], 1)
	binary.BigEndian.PutUint16(p[6:], d.peer.Port()^stunMagic>>16)
	if at.Is4() {
		four := at.As4()
		binary.BigEndian.PutUint32(p[8:], binary.BigEndian.Uint32(four[:])^stunMagic)
	} else {
		p[5] = 2
		sixteen := at.As16()
		for i := range sixteen {
			p[8+i] = sixteen[i] ^ b[4+i] // the cookie and the transaction's number
		}
	}
	p = p[4+address:]
	binary.BigEndian.PutUint16(p, attrData)
	binary.BigEndian.PutUint16(p[2:], uint16(payload))
	return size
}
