package wss

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
)

// Errors of Send.
var (
	ErrClosed = errors.New("wss: the connection is closed")
	ErrSlow   = errors.New("wss: the browser does not read")
)

// Send queues one whole message; it never blocks. A browser that lets the queue fill up, or that takes nothing for
// WriteTimeout, is cut off. The caller keeps no right to change data afterwards.
func (c *Conn) Send(data []byte) error {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return fmt.Errorf("%w (%s)", ErrClosed, c.flow)
	}
	if len(c.queue) >= maxQueuedMessages || c.queued+len(data) > maxQueuedBytes && len(c.queue) > 0 {
		c.mu.Unlock()
		c.cut(ClosedSlow)
		return fmt.Errorf("%w (%s)", ErrSlow, c.flow)
	}
	c.queue = append(c.queue, data)
	c.queued += len(data)
	c.startWriter()
	c.mu.Unlock()
	return nil
}

// startWriter is called with mu held, in state open or closing: the reading goroutine is still counted then.
func (c *Conn) startWriter() {
	if c.writing {
		return
	}
	c.writing = true
	c.server.flows.running.Add(1)
	go c.write()
}

// write empties the queue and ends.
func (c *Conn) write() {
	defer c.server.flows.running.Done()
	for {
		data, last := c.next()
		deadline := time.Now().Add(c.server.cfg.WriteTimeout)
		switch {
		case last != nil:
			// The browser answers it; the timer set by end is the deadline for that.
			_ = c.ws.WriteControl(websocket.CloseMessage, last, deadline)
			return
		case data == nil:
			return
		}
		if err := c.writeMessage(data, deadline); err != nil {
			c.cut(writeFailure(err))
			return
		}
	}
}

// next gives the next message, else the close frame, else neither, and then this was the writing goroutine's last round.
func (c *Conn) next() (data, last []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 && c.state != stateCut {
		data = c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.queued -= len(data)
		return data, nil
	}
	c.queue, c.writing = nil, false
	if c.state == stateClosing {
		last, c.closeFrame = c.closeFrame, nil
	}
	return nil, last
}

// writeMessage writes one message: text as RFC 7118 §5 wants it, binary where it is not UTF-8.
func (c *Conn) writeMessage(data []byte, deadline time.Time) error {
	kind := websocket.TextMessage
	if !utf8.Valid(data) {
		kind = websocket.BinaryMessage
	}
	if len(data) > len(crlf) {
		c.server.counts.out.Add(1)
		c.trace(data, true)
	}
	_ = c.ws.SetWriteDeadline(deadline)
	return c.ws.WriteMessage(kind, data)
}

func writeFailure(err error) Closing {
	if timedOut(err) {
		return ClosedSlow
	}
	return ClosedLost
}

// trace shows one SIP message to whoever traces.
func (c *Conn) trace(data []byte, sent bool) {
	if c.server.cfg.Trace == nil {
		return
	}
	c.server.cfg.Trace(transaction.Traced{
		Data: data, At: time.Now(), Transport: c.transport, Local: c.local.String(), Remote: c.remote.String(),
		Sent: sent, CallID: callID(data),
	})
}

// callID finds the Call-ID of a message, also of one that cannot be parsed; "" where there is none.
func callID(data []byte) string {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	for line := range bytes.Lines(head) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		name = bytes.TrimSpace(name)
		if bytes.EqualFold(name, []byte("Call-ID")) || bytes.EqualFold(name, []byte("i")) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
