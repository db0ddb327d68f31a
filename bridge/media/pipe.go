package media

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/deadline"
)

const (
	pipeDepth       = 32 // datagrams on their way to a handshake
	recordChangeCCS = 20
)

// pipe is the net.PacketConn on which a handshake runs: the leg's worker delivers what comes, and sends what it writes.
type pipe struct {
	over     *transport
	in       chan []byte
	deadline *deadline.Deadline
	closed   chan struct{}
	closing  sync.Once
	answered atomic.Bool // more than a cookie was sent: the peer has proven its address, or need not

	// guarded by mu
	mu     sync.Mutex
	flight []byte // the latest datagram that ends a flight: ChangeCipherSpec and Finished
}

func newPipe(t *transport) *pipe {
	return &pipe{over: t, in: make(chan []byte, pipeDepth), deadline: deadline.New(), closed: make(chan struct{})}
}

// deliver never blocks; false where the handshake does not keep up.
func (p *pipe) deliver(datagram []byte) bool {
	select {
	case p.in <- datagram:
		return true
	default:
		return false
	}
}

// lastFlight is the datagram to repeat when the peer's Finished comes again; a client has none, for the server ends.
func (p *pipe) lastFlight(client bool) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if client {
		return nil
	}
	return p.flight
}

// ReadFrom implements net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-p.deadline.Done():
		return 0, nil, p.deadline.Err()
	case d := <-p.in:
		return copy(b, d), p.LocalAddr(), nil
	}
}

// WriteTo implements net.PacketConn.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
	}
	if len(b) > recordHeader && b[0] == recordHandshake && b[recordHeader] != helloVerify {
		p.answered.Store(true)
	}
	d := slices.Clone(b)
	if len(d) > 0 && d[0] == recordChangeCCS {
		p.mu.Lock()
		p.flight = d
		p.mu.Unlock()
	}
	p.over.leg.do(func(w *worker, _ *Leg) {
		if a := p.over.dtls.running; a != nil && a.pipe == p { // else another's peer would get it
			p.over.sendDTLS(w, d)
		}
	})
	return len(b), nil
}

// Close implements net.PacketConn. Safe to call twice.
func (p *pipe) Close() error {
	p.closing.Do(func() { close(p.closed) })
	return nil
}

// LocalAddr implements net.PacketConn; the handshake never looks at it.
func (p *pipe) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero} }

// SetDeadline implements net.PacketConn.
func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.deadline.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn; writes never block.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// quietLogs keeps pion's own lines out of the log: a handshake's end is logged once, by the leg.
type quietLogs struct{}

// NewLogger implements logging.LoggerFactory.
func (quietLogs) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
}
