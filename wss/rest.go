package wss

import (
	"bufio"
	"net"
	"net/http"
	"syscall"
	"time"
)

// readBuffer is a connection's, which it keeps while it rests.
const readBuffer = 1024

// restAfter is how long the reading goroutine waits for another message before it ends.
const restAfter = time.Second

// A pong's header, its mask and the most that a control frame holds (RFC 6455 §5.2, §5.5).
const (
	pongBegins   = 0x8a // FIN, opcode 10
	frameMasked  = 0x80
	headAndMask  = 6
	controlLimit = 125
)

// takeover is a handshake whose connection keeps its read buffer in our sight: who does not know what is in it cannot rest.
type takeover struct {
	http.ResponseWriter
	br *bufio.Reader
}

// Hijack implements http.Hijacker.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil || buffers.Reader.Buffered() > 0 { // nobody may speak before the handshake is over: Upgrade refuses it
		return conn, buffers, err
	}
	t.br = bufio.NewReaderSize(conn, readBuffer)
	return conn, bufio.NewReadWriter(t.br, buffers.Writer), nil
}

// rawConn is the socket below a connection; nil where there is none that a poller could watch.
func rawConn(conn net.Conn) syscall.RawConn {
	for {
		if socket, ok := conn.(syscall.Conn); ok {
			raw, err := socket.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		}
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = outer.NetConn()
	}
}

// rest waits for the next message. True: none came for a while, the poller watches the socket, and the reading goroutine ends,
// for with a stack that has served messages it would take as much memory as the rest of an idle connection.
func (c *Conn) rest() bool {
	if c.raw == nil {
		return false
	}
	for wait := restAfter; ; wait = 0 {
		_ = c.ws.SetReadDeadline(time.Now().Add(wait))
		head, err := c.br.Peek(2) // what the deadline cuts short stays in the buffers, in those of TLS too
		if timedOut(err) {
			return c.park()
		}
		_ = c.ws.SetReadDeadline(time.Time{})
		if err != nil || !c.skipPong(head) {
			return false
		}
	}
}

// skipPong takes a pong, after which gorilla would wait for a message; false where the frame is another, or broken.
func (c *Conn) skipPong(head []byte) bool {
	length := int(head[1] &^ frameMasked)
	if head[0] != pongBegins || head[1]&frameMasked == 0 || length > controlLimit {
		return false
	}
	if _, err := c.br.Peek(headAndMask + length); err != nil {
		return false
	}
	_, _ = c.br.Discard(headAndMask + length)
	c.gotPong()
	return true
}

// park leaves the connection to the poller; false where that cannot be.
func (c *Conn) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked = c.state != stateCut && c.server.poller.watch(c)
	if !c.parked {
		_ = c.ws.SetReadDeadline(time.Time{})
	}
	return c.parked
}

// wake starts the reading goroutine of a connection that rests. Called with mu held.
func (c *Conn) wake() {
	if c.parked {
		c.parked = false
		go c.run()
	}
}
