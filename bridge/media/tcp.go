package media

import (
	"slices"

	"golang.org/x/sys/unix"
)

const (
	tcpListen    = 0xff     // in a flow's key: the connection's number stands for its address
	maxTCPQueue  = 64 << 10 // bytes that wait for a slow reader; what is late is worth nothing
	maxTCPOfLeg  = 16       // connections: a browser opens one for each of our candidates and of its interfaces
	tcpReadBytes = 16 << 10
)

// tcpConn is a connection that a browser opened to a candidate of ours (RFC 6544, passive), carrying in frames what
// otherwise are datagrams. It begins with a good check and belongs to that check's leg.
type tcpConn struct {
	// static after construction
	leg  *Leg
	name sockaddr // the browser's end
	key  source

	// owned by the worker that owns the leg
	fd      int // -1: closed
	opened  int64
	watched bool
	proven  bool // a good check came
	blocked bool // waits for room in the kernel's buffer
	dirty   bool // in the worker's dirty list
	fresh   bool // in the worker's fresh list
	in      []byte
	out     []byte // frames that the kernel has not taken yet
}

// tcpSide is a worker's part of its legs' connections.
type tcpSide struct {
	conns   map[int32]*tcpConn // by descriptor
	dirty   []*tcpConn         // have something to send
	fresh   []*tcpConn         // have bytes that came before anybody here could look at them
	reading *tcpConn
	rest    []byte // of its bytes, behind the frame that is being handled
	buffer  [tcpReadBytes]byte
}

// adoptTCP gives a leg the connection whose first frame named it.
func (w *worker) adoptTCP(l *Leg, c *tcpConn) {
	if l.closed.Load() || len(l.tcp) >= maxTCPOfLeg {
		w.drop(nil, DropTCPLimit)
		w.closeTCP(c)
		return
	}
	c.opened = w.clock
	l.tcp = append(l.tcp, c)
	w.watchTCP(c)
}

func (w *worker) watchTCP(c *tcpConn) {
	if w.tcp.conns == nil {
		w.tcp.conns = map[int32]*tcpConn{}
	}
	if err := w.poller.addStream(c.fd, c.blocked); err != nil {
		w.engine.cfg.Log.Error("tcp connection cannot be watched", "err", err)
		w.closeTCP(c)
		return
	}
	c.watched = true
	w.tcp.conns[int32(c.fd)] = c
	if len(c.in) > 0 {
		c.fresh = true
		w.tcp.fresh = append(w.tcp.fresh, c)
	}
	if len(c.out) > 0 {
		w.soil(c)
	}
}

// unwatchTCP lets go of a connection; bytes that were read stay with it.
func (w *worker) unwatchTCP(c *tcpConn) {
	if !c.watched {
		return
	}
	c.watched = false
	w.poller.remove(c.fd)
	delete(w.tcp.conns, int32(c.fd))
	is := func(other *tcpConn) bool { return other == c }
	if c.dirty {
		c.dirty = false
		w.tcp.dirty = slices.DeleteFunc(w.tcp.dirty, is)
	}
	if c.fresh {
		c.fresh = false
		w.tcp.fresh = slices.DeleteFunc(w.tcp.fresh, is)
	}
	if w.tcp.reading == c {
		c.in = append(c.in[:0], w.tcp.rest...)
		w.tcp.reading = nil
	}
}

// closeTCP ends a connection and the pair that it is.
func (w *worker) closeTCP(c *tcpConn) {
	if c.fd < 0 {
		return
	}
	if w.writeTCP(c); c.fd < 0 { // a refusal, if there is room
		return
	}
	w.unwatchTCP(c)
	_ = unix.Close(c.fd)
	c.fd = -1
	w.engine.door.leave(c)
	l := c.leg
	l.tcp = slices.DeleteFunc(l.tcp, func(other *tcpConn) bool { return other == c })
	if f := l.ice.find(c.key); f != nil {
		l.forgetFlow(w, f)
	}
}

// serveTCP does what an event of a connection asks for.
func (w *worker) serveTCP(e unix.EpollEvent) {
	c := w.tcp.conns[e.Fd]
	if c == nil {
		return
	}
	if e.Events&unix.EPOLLOUT != 0 {
		w.soil(c)
	}
	if e.Events&^unix.EPOLLOUT != 0 {
		w.readTCP(c)
	}
}

// readTCP reads once, what fits; the poll tells of the rest.
func (w *worker) readTCP(c *tcpConn) {
	had := copy(w.tcp.buffer[:], c.in)
	n, err := unix.Read(c.fd, w.tcp.buffer[had:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != nil || n <= 0 {
		w.closeTCP(c)
		return
	}
	c.in = c.in[:0]
	w.takeFrames(c, w.tcp.buffer[:had+n])
}

// takeFrames handles the frames in p; the beginning of another stays with the connection.
func (w *worker) takeFrames(c *tcpConn, p []byte) {
	defer w.contain()
	defer func() { w.tcp.reading = nil }()
	w.tcp.reading = c
	for w.tcp.reading == c { // a frame may have closed the connection, or moved it away with its leg
		packet, rest, err := cutFrame(p)
		if err != nil {
			if err == errFrameLong {
				w.drop(c.leg, DropOversize)
				w.closeTCP(c)
				return
			}
			c.in = append(c.in[:0], p...)
			return
		}
		p, w.tcp.rest = rest, rest
		if len(packet) > 0 {
			w.takeFrame(c, packet)
		}
	}
}

func (w *worker) takeFrame(c *tcpConn, packet []byte) {
	if w.in.full(1) {
		w.out.flush(w)
		w.in.next = 0
	}
	w.pacer.packets++
	d := datagram{data: w.in.copyIn(packet), from: &c.name, tcp: c, listen: tcpListen, via: uint8(w.id)}
	w.demux(&d)
}

// freshTCP looks at the bytes that came along with connections.
func (w *worker) freshTCP() {
	for len(w.tcp.fresh) > 0 {
		c := w.tcp.fresh[0]
		w.tcp.fresh = slices.Delete(w.tcp.fresh, 0, 1)
		c.fresh = false
		fd := int32(c.fd)
		w.takeFrames(c, c.in)
		if w.tcp.conns[fd] == c && !c.proven {
			w.closeTCP(c) // the check with which it began was refused
		}
	}
}

// flushTCP sends what collected in this round.
func (w *worker) flushTCP() {
	for _, c := range w.tcp.dirty {
		c.dirty = false
		w.writeTCP(c)
	}
	w.tcp.dirty = w.tcp.dirty[:0]
}

// sendTCP queues a packet; it leaves at the end of the round. A reader that is too slow loses it.
func (w *worker) sendTCP(c *tcpConn, l *Leg, packet []byte) {
	if c.fd < 0 || len(c.out)+frameHeader+len(packet) > maxTCPQueue {
		w.drop(l, DropTCPQueue)
		return
	}
	c.out = appendFrame(c.out, packet)
	w.sent(l, len(packet))
	if !c.blocked {
		w.soil(c)
	}
}

func (w *worker) soil(c *tcpConn) {
	if !c.dirty {
		c.dirty = true
		w.tcp.dirty = append(w.tcp.dirty, c)
	}
}

// writeTCP gives the kernel what it takes without waiting.
func (w *worker) writeTCP(c *tcpConn) {
	if c.fd < 0 || len(c.out) == 0 {
		return
	}
	n, err := unix.Write(c.fd, c.out)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		w.drop(c.leg, DropSendError)
		c.out = c.out[:0]
		w.closeTCP(c)
		return
	}
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if blocked := len(c.out) > 0; blocked != c.blocked && c.watched {
		c.blocked = blocked
		w.poller.changeStream(c.fd, blocked)
	}
}

// sweepTCP closes what a browser opened and did not come to use.
func (l *Leg) sweepTCP(w *worker) {
	for i := len(l.tcp) - 1; i >= 0; i-- {
		if c := l.tcp[i]; l.ice.find(c.key) == nil && w.clock-c.opened > int64(l.engine.cfg.Limits.FirstCheck) {
			w.drop(l, DropTCPSilent)
			w.closeTCP(c)
		}
	}
}
