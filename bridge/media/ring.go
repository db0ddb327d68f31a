package media

import "sync/atomic"

const (
	ringCells   = 512 // for each worker; a power of two
	maxDatagram = 1980
)

// ring passes datagrams between workers: bounded, many producers (the other workers), one consumer, no lock. Each cell's
// turn counter says whose it is (Vyukov's bounded queue).
type ring struct {
	cells [ringCells]ringCell
	_     [64]byte
	tail  atomic.Uint64 // next to write
	_     [56]byte
	head  uint64 // next to read; owned by the consumer
}

// ringCell is one datagram with where it came from and by which worker's socket.
type ringCell struct {
	turn   atomic.Uint64
	from   sockaddr
	to     localAddr
	port   *Leg
	detour *detour
	rtcp   bool
	listen uint8
	via    uint8
	length uint16
	data   [maxDatagram]byte
}

func newRing() *ring {
	r := &ring{}
	for i := range r.cells {
		r.cells[i].turn.Store(uint64(i))
	}
	return r
}

// push copies d in; false where the ring is full.
func (r *ring) push(d *datagram) bool {
	for {
		t := r.tail.Load()
		c := &r.cells[t%ringCells]
		switch turn := c.turn.Load(); {
		case turn == t:
			if !r.tail.CompareAndSwap(t, t+1) {
				continue
			}
			c.from, c.to, c.port, c.rtcp, c.listen, c.via, c.detour = *d.from, d.to, d.port, d.rtcp, d.listen, d.via, d.detour
			c.length = uint16(copy(c.data[:], d.data))
			c.turn.Store(t + 1)
			return true
		case turn < t:
			return false
		}
	}
}

// peek is the oldest datagram, nil where there is none; it stays the consumer's until advance.
func (r *ring) peek() *ringCell {
	c := &r.cells[r.head%ringCells]
	if c.turn.Load() != r.head+1 {
		return nil
	}
	return c
}

func (r *ring) advance() {
	c := &r.cells[r.head%ringCells]
	c.port, c.detour = nil, nil
	c.turn.Store(r.head + ringCells)
	r.head++
}
