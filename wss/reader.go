package wss

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
)

const (
	crlf           = "\r\n"
	maxKeptBuffer  = 16 << 10 // a larger message's buffer is not pooled
	newBufferBytes = 2 << 10
)

// run is the connection's reading goroutine: there from its first message on, unless it rests.
func (c *Conn) run() {
	var err error
	for err == nil {
		if c.rest() {
			return
		}
		err = c.readMessage()
	}
	c.finish(err)
	c.server.flows.running.Done()
}

// readMessage reads one WebSocket message, whatever its frames, and serves it. No buffer is held while waiting.
func (c *Conn) readMessage() error {
	_, r, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	buf, ok := c.server.buffers.Get().(*bytes.Buffer)
	if !ok {
		buf = bytes.NewBuffer(make([]byte, 0, newBufferBytes))
	}
	buf.Reset()
	_, err = io.Copy(buf, r)
	if err == nil && c.keepsPace() && c.isOpen() {
		c.shield("message", func() { c.receive(buf.Bytes()) })
	}
	if buf.Cap() <= maxKeptBuffer {
		c.server.buffers.Put(buf)
	}
	return err
}

// keepsPace counts one more message; who sends too many of them is let go.
func (c *Conn) keepsPace() bool {
	if c.pace == nil || c.pace.Allow() {
		return true
	}
	c.end(websocket.ClosePolicyViolation, fmt.Sprintf("more than %d messages a second", c.server.cfg.MaxRate), ClosedRate)
	return false
}

func (c *Conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen
}

// receive takes one WebSocket message: a keepalive or one SIP message (RFC 7118 §5).
func (c *Conn) receive(data []byte) {
	rest := bytes.TrimLeft(data, crlf)
	if len(rest) == 0 {
		c.keepalive(len(data))
		return
	}
	c.server.counts.in.Add(1)
	c.trace(rest, false)
	serve, end := true, false
	if c.visitor != nil {
		serve, end = c.visitor.Message(rest)
	}
	if end {
		c.end(websocket.ClosePolicyViolation, "too many requests", ClosedGuard)
		return
	}
	msg, err := transaction.Parse(rest)
	if req, ok := msg.Message.(*sip.Request); ok {
		c.completeVia(req)
	}
	if err != nil {
		c.reject(msg, err)
		return
	}
	c.malformed = 0
	if req, ok := msg.Message.(*sip.Request); ok && !serve {
		c.refuseRate(req)
		return
	}
	c.server.layer.Receive(msg, c, c.serve)
}

// keepalive answers a double CRLF with a single one (RFC 5626 §3.5.1). Less is a pong of the browser, which nobody waits for.
func (c *Conn) keepalive(length int) {
	c.server.counts.keepalives.Add(1)
	if length >= 2*len(crlf) {
		_ = c.Send([]byte(crlf)) // a failure ends the connection by itself
	}
}

// completeVia adds received, and rport where the browser asks for it, to the top Via (RFC 3261 §18.2.1, RFC 3581 §4), and
// nothing else: SIP.js compares the sent-by of responses with its own.
func (c *Conn) completeVia(req *sip.Request) {
	via := req.Via()
	via.Params.Add("received", c.remote.Addr().String())
	if via.Params.Has("rport") && c.remote.Port() != 0 {
		via.Params.Add("rport", strconv.Itoa(int(c.remote.Port())))
	}
}

// reject answers a malformed request where a response is possible. The connection stays, unless nothing else comes.
func (c *Conn) reject(msg transaction.Message, cause error) {
	c.server.counts.rejected.Add(1)
	c.server.cfg.Log.Info("malformed message", "conn", c.flow, "error", cause)
	if req, ok := msg.Message.(*sip.Request); ok {
		c.refuse(req, cause)
	}
	if c.malformed++; c.malformed >= maxMalformed {
		c.end(websocket.ClosePolicyViolation, "too many malformed SIP messages: "+cause.Error(), ClosedMalformed)
	}
}

// refuse sends the response that says what is wrong, in its phrase and in Reason (RFC 3326). It needs no transaction: the
// way is reliable.
func (c *Conn) refuse(req *sip.Request, cause error) {
	status, phrase := sip.StatusBadRequest, "Bad Request"
	var wrong *transaction.ParseError
	if errors.As(cause, &wrong) {
		status, phrase = wrong.Status, wrong.Reason
	}
	c.answer(req, status, phrase, phrase)
}

// answer sends a response without a transaction.
func (c *Conn) answer(req *sip.Request, status int, phrase, why string, more ...sip.Header) {
	res := transaction.NewResponse(req, status, phrase)
	if to := res.To(); to != nil && !to.Params.Has("tag") {
		to.Params.Add("tag", rand.Text())
	}
	res.AppendHeader(sip.NewHeader("Reason", fmt.Sprintf("SIP;cause=%d;text=%q", status, why)))
	for _, h := range more {
		res.AppendHeader(h)
	}
	_ = c.Send(transaction.Append(nil, transaction.Message{Message: res})) // a failure ends the connection by itself
}

// refuseRate answers a request that is one too many; an ACK takes no answer.
func (c *Conn) refuseRate(req *sip.Request) {
	if req.Method == sip.ACK {
		return
	}
	c.answer(req, sip.StatusServiceUnavailable, "Service Unavailable", "too many requests on this connection", sip.NewHeader("Retry-After", "5"))
}

// serve hands a new request to the handler. The panic is caught here already, so that it never unwinds the layer's locks.
func (c *Conn) serve(tx *transaction.Server) {
	c.shield("ServeBrowser", func() { c.handler.ServeBrowser(c, tx) })
}

// shield keeps a panic to this connection.
func (c *Conn) shield(what string, f func()) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		c.server.counts.panics.Add(1)
		c.server.cfg.Log.Error("panic while serving a browser", "conn", c.flow, "where", what, "error", cause,
			"stack", string(debug.Stack()))
		c.end(websocket.CloseInternalServerErr, "internal error", ClosedPanic)
	}()
	f()
}
