package media

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"
)

const (
	pollRuns    = 8  // polls of one round while each finds something
	browserRuns = 4  // batches read from the browsers' socket before others have their turn
	portRuns    = 32 // the same for a SIP-side socket
)

// worker owns relays: their legs' sockets, keys and state. Nothing of that is touched by another goroutine, but for signalling that
// finds the worker at rest and does there itself what it has posted.
type worker struct {
	// static after construction
	id       int
	engine   *Engine
	poller   *poller
	browsers []int // one socket for each listen address, and behind them for each port of TURN's clients
	ring     *ring // datagrams that other workers passed

	// any goroutine
	mailbox  queue[posted]
	asleep   atomic.Bool
	counters workerCounters

	// guarded by mu, which run holds but for its rests
	mu       sync.Mutex
	clock    int64 // ns since Engine.start, taken once for each round
	in       *inbox
	out      *outbox
	flows    map[source]*flow // validated pairs of this worker's legs
	away     map[source]*Leg  // pairs that come in here but belong to another worker's leg
	clients  map[source]*allocation
	legs     []*Leg
	sockets  socketTable
	shared   []*sharedSocket
	relayed  relayedTable
	agents   agents
	tcp      tcpSide
	digits   []*Leg // into which digits are playing
	sweepAt  int64  // next liveness sweep
	scratch  scratch
	hearing  hearing
	stun     stunBudgets
	question stun.Message // the check that is being handled
	reporter reporter
	current  *Leg // whose packet is being handled; a panic is its
	pacer    pacer
	stopping bool
}

// datagram is one in the worker's hands; valid until the end of the batch.
type datagram struct {
	data   []byte // with room behind for tags
	from   *sockaddr
	to     localAddr
	tcp    *tcpConn // nil: it came by UDP
	detour *detour  // nil: it did not come by a TURN client's relayed address
	port   *Leg     // whose it is where it came to a shared port; nil: to the browsers'
	rtcp   bool     // it came to a shared port for RTCP
	listen uint8
	via    uint8 // the worker whose socket it came in by
}

// source is the far end and the socket of ours by which it is known.
func (d *datagram) source() source {
	if d.tcp != nil {
		return d.tcp.key
	}
	if d.detour != nil {
		return d.detour.key
	}
	return d.from.source(d.listen)
}

func newWorker(e *Engine, id int) (*worker, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &worker{
		id: id, engine: e, poller: p,
		pacer:   pacer{setting: e.tick},
		ring:    newRing(),
		in:      newInbox(),
		out:     newOutbox(),
		flows:   map[source]*flow{},
		away:    map[source]*Leg{},
		clients: map[source]*allocation{},
	}, nil
}

// run never gives mu back: nobody stands in for a worker that has ended.
func (w *worker) run() {
	w.mu.Lock()
	defer w.free()
	for {
		w.clock = int64(time.Since(w.engine.start))
		w.drainMailbox()
		if w.stopping {
			return
		}
		w.drainRing()
		for run := 0; run < pollRuns && w.poller.poll() > 0; run++ {
			w.readAll(run > 0)
		}
		w.finishRound()
		w.rest()
	}
}

// finishRound does what the packets and commands of a round left to be done.
func (w *worker) finishRound() {
	w.freshTCP()
	w.out.flush(w)
	w.expire()
	w.flushTCP()
}

// standIn runs what was posted in the worker's place where it rests: to wake it would cost far more. Whoever holds mu instead looks
// into the mailbox once it has let go, so nothing is left there.
func (w *worker) standIn() {
	for w.mailbox.head.Load() != nil && w.mu.TryLock() {
		w.standInRound()
	}
}

func (w *worker) standInRound() {
	defer w.mu.Unlock()
	w.clock = int64(time.Since(w.engine.start))
	w.drainMailbox()
	w.finishRound()
	w.armNext()
}

// rest waits for the next round: a quiet worker until something comes, a busy one until its tick is over.
func (w *worker) rest() {
	if tick := w.pacer.tick(w.clock); tick > 0 {
		w.counters.ticks.Add(1)
		past := time.Since(w.engine.start) - time.Duration(w.clock)
		w.mu.Unlock()
		w.poller.sleep(max(tick-past, leastPause))
		w.mu.Lock()
		return
	}
	w.armNext()
	w.asleep.Store(true)
	w.mu.Unlock()
	if w.mailbox.head.Load() == nil && w.ring.peek() == nil {
		w.poller.wait()
	}
	w.mu.Lock()
	w.asleep.Store(false)
}

// armNext has a rest end when something is due.
func (w *worker) armNext() {
	if next := w.nextDeadline(); next != 0 {
		w.poller.arm(next, time.Duration(next-int64(time.Since(w.engine.start))))
	}
}

// readAll reads every ready socket; again says that it is not the round's first time, so that whoever is ready had more
// than one packet.
func (w *worker) readAll(again bool) {
	for i := range w.poller.ready {
		switch event := &w.poller.events[i]; event.Pad {
		case forTimer:
			w.poller.quench()
		case forBrowser:
			w.readBrowsers(uint8(event.Fd))
		case forPort:
			if s := w.sockets.get(event.Fd); s != nil {
				w.readPort(s, again)
			}
		case forShared:
			w.readShared(w.shared[event.Fd])
		case forTCP:
			w.serveTCP(*event)
		case forRelayed:
			if a := w.relayed.get(event.Fd); a != nil {
				w.readRelayed(a, again)
			}
		}
	}
}

func (w *worker) readBrowsers(listen uint8) {
	for range browserRuns {
		w.out.flush(w)
		w.in.next = 0
		n, errno := w.in.receive(w.browsers[listen], batchSize/2)
		if errno != 0 || n == 0 {
			return
		}
		w.in.next = n
		for at := 0; at < n; {
			at = w.browserBatch(listen, at, n)
		}
		if n < batchSize/2 {
			return
		}
	}
}

// browserBatch handles datagrams from at on; it returns early where one of them panicked.
func (w *worker) browserBatch(listen uint8, at, end int) (next int) {
	next = at
	defer w.contain()
	for next < end {
		d := datagram{listen: listen, via: uint8(w.id)}
		next++
		if !w.take(next-1, &d, nil) {
			continue
		}
		if first := len(w.engine.listens); int(listen) >= first {
			w.fromClient(w.engine.clients[int(listen)-first], &d)
			continue
		}
		w.demux(&d)
	}
	return next
}

// readPort takes one packet, for voice comes singly; more where it is known that there are.
func (w *worker) readPort(s *portSocket, more bool) {
	if !more {
		w.makeRoom(1)
		n, errno := w.in.receiveOne(s.fd)
		w.portPackets(s, n, errno)
		return
	}
	for range portRuns {
		w.makeRoom(portBatch)
		n, errno := w.in.receive(s.fd, portBatch)
		w.portPackets(s, n, errno)
		if n < portBatch {
			return
		}
	}
}

// makeRoom sends what is queued where the buffers that it lies in are needed.
func (w *worker) makeRoom(buffers int) {
	if w.in.full(buffers) {
		w.out.flush(w)
		w.in.next = 0
	}
}

// portPackets handles what was read.
func (w *worker) portPackets(s *portSocket, n int, errno syscall.Errno) {
	if errno != 0 {
		w.portError(errno)
		return
	}
	at := w.in.next
	w.in.next += n
	for end := w.in.next; at < end; {
		at = w.portBatch(s, at, end)
	}
}

// portError takes a socket's pending ICMP error off by having read it.
func (w *worker) portError(errno syscall.Errno) {
	if errno != unix.EAGAIN {
		w.counters.drops[DropSendError].Add(1)
	}
}

// take gives the packet at a place of the batch, which is l's if that is known; a cut one is dropped.
func (w *worker) take(at int, d *datagram, l *Leg) (whole bool) {
	w.pacer.packets++
	if whole = w.in.load(at, d); !whole {
		w.drop(l, DropOversize)
	}
	return whole
}

func (w *worker) portBatch(s *portSocket, at, end int) (next int) {
	next = at
	defer w.contain()
	w.current = s.leg
	for next < end {
		var d datagram
		next++
		if !w.take(next-1, &d, s.leg) {
			continue
		}
		w.receivePort(s, &d)
	}
	w.current = nil
	return next
}

// drainRing handles what other workers passed here.
func (w *worker) drainRing() {
	for c := w.ring.peek(); c != nil; c = w.ring.peek() {
		w.makeRoom(1)
		w.ringOne(c)
		w.ring.advance()
		w.pacer.packets++
	}
}

func (w *worker) ringOne(c *ringCell) {
	defer w.contain()
	d := datagram{
		data: w.in.copyIn(c.data[:c.length]), from: &c.from, to: c.to, listen: c.listen, via: c.via, port: c.port, rtcp: c.rtcp, detour: c.detour,
	}
	if c.port == nil {
		w.demux(&d)
		return
	}
	if !w.owns(c.port) {
		w.drainMailbox() // it may be on its way here
	}
	if !w.owns(c.port) {
		w.drop(c.port, DropNotValidated)
		return
	}
	w.receiveShared(c.port, &d)
}

// handOff passes a datagram to the worker that owns its leg.
func (w *worker) handOff(l *Leg, d *datagram) {
	p := l.home()
	if p.worker() == w.id || d.via != uint8(w.id) { // on its way here, or passed once already
		w.drop(nil, DropNotValidated)
		return
	}
	to := w.engine.workers[p.worker()]
	if !to.ring.push(d) {
		w.drop(nil, DropHandoffFull)
		return
	}
	w.counters.handoffs.Add(1)
	to.wake()
}

// contain keeps a panic to the leg whose packet or command caused it.
func (w *worker) contain() {
	fault := recover()
	if fault == nil {
		return
	}
	l := w.current
	w.current = nil
	w.drop(nil, DropPanic)
	w.engine.cfg.Log.Error("media fault", "worker", w.id, "fault", fault, "stack", string(debug.Stack()))
	if l != nil && w.owns(l) {
		l.fail(w, InternalFault)
	}
}

// drop counts a packet that goes no further; l is nil where it belongs to nobody.
func (w *worker) drop(l *Leg, r DropReason) {
	w.counters.drops[r].Add(1)
	if l != nil {
		l.counters.dropped(r)
	}
}

// sent counts a packet that the kernel took.
func (w *worker) sent(l *Leg, size int) {
	w.counters.packetsOut.Add(1)
	if l != nil {
		l.counters.packetsOut.Add(1)
		l.counters.bytesOut.Add(uint64(size))
	}
}

// queue puts a packet into the outbox.
func (w *worker) queue(fd int, l *Leg, to *endpoint, packet []byte) {
	if !w.out.add(fd, l, to, packet) {
		w.out.flush(w)
		w.out.add(fd, l, to, packet)
	}
}

// free closes everything when run has ended or Open failed.
func (w *worker) free() {
	for len(w.legs) > 0 {
		w.legs[len(w.legs)-1].release(w)
	}
	closeAll(w.browsers)
	w.poller.close()
}
