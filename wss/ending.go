package wss

import (
	"errors"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// lingerFor is how long we read on after a close frame that answers bytes which we never read: without it the kernel's
// RST overtakes the close frame and the browser never learns the code.
const lingerFor = time.Second

// end begins the closing handshake (RFC 6455 §7.1.2) behind what is queued. The socket is cut WriteTimeout later if the
// browser does not answer.
func (c *Conn) end(code int, text string, why Closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return
	}
	c.state, c.why = stateClosing, why
	c.closeFrame = websocket.FormatCloseMessage(code, clip(text))
	c.pongBy = time.Now().Add(c.server.cfg.WriteTimeout)
	if c.timer != nil {
		c.timer.Reset(c.server.cfg.WriteTimeout)
	}
	c.startWriter()
}

// cut closes the socket without a word, so that reading and writing end at once.
func (c *Conn) cut(why Closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateOpen {
		c.why = why
	}
	c.state = stateCut
	c.server.poller.forget(c)
	cutSocket(c.ws.NetConn())
	c.wake() // to see it
}

// cutSocket closes below TLS: tls.Conn.Close writes an alert and may wait 5 s for a peer that does not read.
func cutSocket(conn net.Conn) {
	_ = belowTLS(conn).Close()
}

// belowTLS is the connection that TLS runs on, whatever wraps it.
func belowTLS(conn net.Conn) net.Conn {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return conn
}

// finish cleans up; the reading goroutine calls it once, with the error that ended reading.
func (c *Conn) finish(cause error) {
	c.mu.Lock()
	if c.state == stateOpen {
		c.why = readFailure(cause)
	}
	c.state = stateCut
	c.server.poller.forget(c)
	c.queue = nil
	c.timer.Stop()
	why := c.why
	c.mu.Unlock()

	c.server.flows.remove(c)
	close(c.done)
	c.server.users.remove(c)
	c.server.leave(c.remote.Addr())
	c.server.layer.FlowLost(c)
	c.shield("BrowserGone", func() { c.handler.BrowserGone(c) })
	if why == ClosedTooBig || why == ClosedProtocol {
		c.linger()
	}
	cutSocket(c.ws.NetConn())
	c.server.counts.closed(why)
	c.server.cfg.Log.Debug("browser gone", "conn", c.flow, "reason", string(why), "error", cause)
}

// linger lets the browser read our close frame before the socket goes.
func (c *Conn) linger() {
	conn := belowTLS(c.ws.NetConn())
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.Copy(io.Discard, conn)
}

// readFailure says why reading ended where nobody on our side wanted it.
func readFailure(err error) Closing {
	var closed *websocket.CloseError
	var network net.Error
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return ClosedTooBig
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return ClosedByPeer
	case errors.As(err, &closed), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return ClosedLost
	}
	return ClosedProtocol
}

func timedOut(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// clip shortens a close reason to what a control frame holds (RFC 6455 §5.5: 125 bytes, two of them the code).
func clip(text string) string {
	const most = 123
	if len(text) <= most {
		return text
	}
	text = text[:most]
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}
