package sipside

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"time"
)

// serve has the socket read until it is closed, and looks at whoever reads.
func (u *udpListener) serve() error {
	u.e.spawn(func() { u.read(0) })
	for u.alarm.wait() {
		relief, relieved, again := u.duty.look()
		switch {
		case relieved:
			u.e.log.Debug("a call keeps its reader, another reads on", "listener", u.local.String())
			u.e.spawn(func() { u.relieve(relief) })
		case again:
			u.alarm.set(lookEvery)
		}
	}
	return nil
}

// relieve takes the rest of another reader's batch, and reads on.
func (u *udpListener) relieve(turn int) {
	u.duty.kept(time.Now())
	if u.work(turn, false) {
		u.read(turn)
	}
}

// read takes datagrams until the socket is closed or the reader is relieved. One goroutine reads, so that messages of a peer stay in
// order; the parser copies what it keeps, so that a batch's buffers serve all.
func (u *udpListener) read(turn int) {
	in := newInbox()
	for {
		n, err := u.sock.receive(in)
		switch {
		case err == nil:
			if !u.batch(turn, in, n) {
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		case saidByICMP(err):
			u.unreachable()
		default: // the kernel is out of memory
			u.e.log.Warn("read from UDP socket", "listener", u.local.String(), "error", err)
			if !u.e.pause(retryAfter) {
				return
			}
		}
	}
}

// batch handles what came, and lets more come where that pays; false where the reader was relieved.
func (u *udpListener) batch(turn int, in *inbox, count int) bool {
	began := time.Now()
	lends := u.duty.begin(in, count, began)
	if lends {
		u.alarm.set(lookEvery)
	}
	if !u.work(turn, lends) {
		return false
	}
	now := time.Now()
	if lends {
		u.alarm.stop()
		u.duty.load.worked(now.Sub(began))
	}
	u.duty.load.until(now)
	if wait := u.duty.pace.came(count, now); wait > 0 && count < batchSize {
		u.sock.collect(wait)
	}
	return true
}

// work handles the rest of the batch at hand; false where the reader was relieved.
func (u *udpListener) work(turn int, lends bool) bool {
	for {
		in, message, mine := u.duty.take(turn)
		if in == nil {
			return mine
		}
		data, from := in.datagram(message)
		u.arrived(data, from, lends)
	}
}

func (u *udpListener) arrived(data []byte, from netip.AddrPort, lends bool) {
	if len(bytes.Trim(data, keepaliveCut)) == 0 {
		return
	}
	in := arrival{transport: udp, local: u.local, from: from, udp: u, lent: lends}
	if _, who := u.e.sources.of(from, 0); who == stranger {
		u.e.strange(data, in)
		return
	}
	u.e.receive(data, in)
}
