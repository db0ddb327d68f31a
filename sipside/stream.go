package sipside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"tandem/sipside/transaction"
)

var (
	errClosed    = errors.New("sipside: closed")
	errIdle      = errors.New("sipside: connection idle")
	errQueueFull = errors.New("sipside: the peer does not read")
	errFinished  = errors.New("sipside: connection ended after its last message")
)

// conn is one TCP or TLS connection, accepted or dialled. It is a Flow from the start: what is sent while it is dialled
// waits in its queue. One goroutine (run) dials and reads and tells of its loss, one writes.
type conn struct {
	// static after construction
	e         *Endpoints
	id        string
	transport transport
	peer      netip.AddrPort
	key       connKey         // of a dialled connection
	queue     chan []byte     // bounded; nil means: end after what stands before
	ready     chan struct{}   // closed once the dial is over, well or ill
	gone      chan struct{}   // closed by shut
	ctx       context.Context // ends with gone
	cancel    context.CancelFunc

	mu         sync.Mutex
	sock       net.Conn    // guarded by mu; nil while it is dialled
	err        error       // guarded by mu; why it is gone
	dependents []dependent // guarded by mu
}

// dependent is a flow that found its way over this connection and must be told of its loss.
type dependent struct {
	flow transaction.Flow
	at   time.Time
}

var _ transaction.Flow = (*conn)(nil)

func (e *Endpoints) newConn(t transport, peer netip.AddrPort) *conn {
	c := &conn{
		e: e, transport: t, peer: peer,
		id:    fmt.Sprintf("%s#%d", t, e.connections.serial.Add(1)),
		queue: make(chan []byte, e.limits.queue),
		ready: make(chan struct{}),
		gone:  make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(e.ctx)
	return c
}

// Send queues a message; a full queue (a peer that does not read) ends the connection.
func (c *conn) Send(data []byte) error {
	select {
	case <-c.gone:
		return c.cause()
	default:
	}
	select {
	case c.queue <- data:
		return nil
	default:
		c.shut(errQueueFull)
		return errQueueFull
	}
}

func (c *conn) Reliable() bool   { return true }
func (c *conn) Identity() string { return c.id }

// shut ends the connection; run then tells of the loss. It may be called from anywhere, also with locks held.
func (c *conn) shut(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = why
	close(c.gone)
	c.cancel()
	if c.sock != nil {
		_ = c.sock.Close() // nothing to do about an error on the way out
	}
}

func (c *conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// attach has the loss of the connection reported for another flow too; false where it is gone already.
func (c *conn) attach(flow transaction.Flow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	now := time.Now()
	kept := c.dependents[:0]
	for _, d := range c.dependents {
		if now.Sub(d.at) < dependentLife {
			kept = append(kept, d)
		}
	}
	c.dependents = append(kept, dependent{flow, now})
	return true
}

// dependentLife outlives any transaction: an INVITE that rings for minutes.
const dependentLife = 10 * time.Minute

// run lives as long as the connection. dial gives the socket.
func (c *conn) run(dial func(context.Context) (net.Conn, error)) {
	sock, err := dial(c.ctx)
	if err == nil {
		c.mu.Lock()
		c.sock = sock
		if c.err != nil {
			_ = sock.Close()
		}
		c.mu.Unlock()
	} else {
		c.shut(err)
	}
	close(c.ready)
	if err == nil {
		written := make(chan struct{})
		go func() { defer close(written); c.write(sock) }()
		c.shut(c.read(sock))
		<-written
	}
	c.e.connections.remove(c)
	c.lost()
}

// lost tells the transactions of this connection, and of the flows that took it.
func (c *conn) lost() {
	c.mu.Lock()
	why, dependents := c.err, c.dependents
	c.dependents = nil
	c.mu.Unlock()
	c.e.log.Debug("connection ended", "conn", c.id, "peer", c.peer.String(), "reason", why)
	c.e.layer.FlowLost(c)
	for _, d := range dependents {
		c.e.layer.FlowLost(d.flow)
	}
}

// read takes messages until the connection ends and says why it did.
func (c *conn) read(sock net.Conn) error {
	select {
	case <-c.e.serving:
	case <-c.gone:
		return c.cause()
	}
	f := &framer{src: sock, maxHead: c.e.limits.head, maxBody: c.e.limits.body, waiting: c.deadlines(sock)}
	local := sock.LocalAddr().(*net.TCPAddr).AddrPort()
	in := arrival{transport: c.transport, local: local, from: c.peer, conn: c}
	for {
		message, err := f.next()
		var bad *frameError
		switch {
		case errors.As(err, &bad):
			return c.refuse(sock, bad, in)
		case errors.Is(err, io.EOF):
			return io.EOF
		case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
			return errIdle
		case err != nil:
			return err
		case message == nil:
			if err := c.Send([]byte("\r\n")); err != nil { // RFC 5626 §4.4.1
				return err
			}
		default:
			c.e.receive(message, in)
		}
	}
}

// deadlines gives the peer idle time between messages and a shorter time for a message that it has begun.
func (c *conn) deadlines(sock net.Conn) func(partial bool) {
	begun := false
	return func(partial bool) {
		switch {
		case !partial:
			begun = false
			_ = sock.SetReadDeadline(time.Now().Add(c.e.limits.idle)) // fails on a closed socket; the read then says so
		case !begun:
			begun = true
			_ = sock.SetReadDeadline(time.Now().Add(c.e.limits.message))
		}
	}
}

// maxDrained is how much is read of a message that is refused, so that the peer, which is still writing, reads why.
const maxDrained = 1 << 20

// refuse answers what broke the framing, if that can be answered, and lets the answer reach the peer before the
// connection ends: closing a socket with unread bytes would reset it.
func (c *conn) refuse(sock net.Conn, bad *frameError, in arrival) error {
	c.e.refuse(bad, in)
	if c.Send(nil) != nil {
		return bad
	}
	_ = sock.SetReadDeadline(time.Now().Add(c.e.limits.linger))
	_, _ = io.CopyN(io.Discard, sock, maxDrained) // whatever it sends, it is done
	return bad
}

// write sends what is queued until the connection ends.
func (c *conn) write(sock net.Conn) {
	alive, stop := c.keepalives()
	defer stop()
	for {
		select {
		case <-c.gone:
			return
		case <-alive:
			_ = c.Send([]byte("\r\n\r\n")) // a failure ends the connection by itself
		case data := <-c.queue:
			if data == nil {
				c.finish(sock)
				return
			}
			_ = sock.SetWriteDeadline(time.Now().Add(c.e.limits.write)) // as above
			if _, err := sock.Write(data); err != nil {
				c.shut(fmt.Errorf("write to %s: %w", c.peer, err))
				return
			}
			c.e.sent(data, c.transport, sock.LocalAddr().(*net.TCPAddr).AddrPort(), c.peer)
		}
	}
}

// keepalives ticks on a connection that we opened, so that no NAT or firewall forgets it (RFC 5626 §4.4.1: 95 to 120 s). A peer
// that does not answer them is let be: few outside RFC 5626 do, and OPTIONS probes say who lives.
func (c *conn) keepalives() (<-chan time.Time, func()) {
	if c.key == (connKey{}) {
		return nil, func() {}
	}
	ticker := time.NewTicker(c.e.limits.keepalive)
	return ticker.C, ticker.Stop
}

// finish says that no more will be sent.
func (c *conn) finish(sock net.Conn) {
	half, ok := sock.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.shut(errFinished)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
