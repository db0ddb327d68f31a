package media

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// relayedTable numbers the allocations whose sockets a worker reads. As those of a socketTable they come and go between two rounds only.
type relayedTable struct {
	all   []*allocation
	spare []int32
}

func (t *relayedTable) add(a *allocation) {
	if n := len(t.spare); n > 0 {
		a.number = t.spare[n-1]
		t.spare = t.spare[:n-1]
		t.all[a.number] = a
		return
	}
	a.number = int32(len(t.all))
	t.all = append(t.all, a)
}

func (t *relayedTable) remove(a *allocation) {
	if t.get(a.number) == a {
		t.all[a.number] = nil
		t.spare = append(t.spare, a.number)
	}
}

func (t *relayedTable) get(number int32) *allocation {
	if int(number) >= len(t.all) {
		return nil
	}
	return t.all[number]
}

// watchAllocation begins to read an allocation's socket.
func (w *worker) watchAllocation(a *allocation) {
	w.relayed.add(a)
	if err := w.poller.add(a.fd, forRelayed, a.number); err != nil {
		w.engine.cfg.Log.Error("a relay's socket cannot be watched", "err", err)
	}
}

// readRelayed reads what peers sent to an allocation: one packet, or more where it is known that there are.
func (w *worker) readRelayed(a *allocation, more bool) {
	if !more {
		w.makeRoom(1)
		n, errno := w.in.receiveOne(a.fd)
		if errno != 0 {
			w.portError(errno)
			return
		}
		w.takeRelayed(a, n)
		return
	}
	for range portRuns {
		w.makeRoom(portBatch)
		n, errno := w.in.receive(a.fd, portBatch)
		if errno != 0 {
			w.portError(errno)
			return
		}
		w.takeRelayed(a, n)
		if n < portBatch {
			return
		}
	}
}

func (w *worker) takeRelayed(a *allocation, n int) {
	at := w.in.next
	w.in.next += n
	for end := w.in.next; at < end; {
		at = w.relayedBatch(a, at, end)
	}
}

func (w *worker) relayedBatch(a *allocation, at, end int) (next int) {
	next = at
	defer w.contain()
	for next < end {
		var d datagram
		next++
		if !w.take(next-1, &d, nil) {
			continue
		}
		w.fromPeer(a, &d, next-1)
	}
	return next
}

// fromPeer sends a peer's packet, the at-th in hand, to the client by its channel; without one the control plane looks for a permission.
func (w *worker) fromPeer(a *allocation, d *datagram, at int) {
	key := d.from.source(0)
	for _, by := range a.all() {
		if by.farKey == key && by.far != nil && by.channel.Load() != 0 && len(d.data) > 0 {
			if w.mayPass(by, nil, len(d.data)) {
				w.queue(w.browsers[a.port.listen], nil, a.client, w.in.asChannelData(at, by.channel.Load(), len(d.data)))
			}
			return
		}
	}
	if !a.deliver(d.from.addrPort(), d.data) {
		w.drop(nil, DropControlFull)
	}
}

// takeSocket takes the descriptor out of the runtime's poller, which would wake a thread for each packet.
func takeSocket(socket *net.UDPConn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(original uintptr) { fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, failed); err != nil {
		return -1, err
	}
	return fd, socket.Close()
}

// leaveAllocation forgets an allocation that has ended; the last worker closes its socket.
func (w *worker) leaveAllocation(a *allocation) {
	if w.clients[a.key] == a {
		delete(w.clients, a.key)
	}
	if a.fd < 0 {
		return
	}
	w.out.flush(w)
	if w.id == a.via {
		w.poller.remove(a.fd)
		w.relayed.remove(a)
	}
	if a.leaving.Add(-1) == 0 {
		a.engine.allocations.closeSocket(a)
	}
}

func (s *allocations) closeSocket(a *allocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.sockets[a]; open {
		delete(s.sockets, a)
		_ = unix.Close(a.fd)
	}
}

// closeAll closes what workers that have stopped did not.
func (s *allocations) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.sockets {
		_ = unix.Close(a.fd)
	}
	clear(s.sockets)
}
