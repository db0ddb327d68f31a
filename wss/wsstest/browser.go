package wsstest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"
)

// Browser is one browser tab with one WebSocket. Its methods may be called from any goroutine.
type Browser struct {
	// static after construction
	opt     Options
	ws      *websocket.Conn
	viaHost string // <12 random>.invalid
	id      string // JsSIP's 5 characters; a foreign Call-ID that begins with them is a loop
	done    chan struct{}
	calls   chan *Call // incoming

	deaf    atomic.Bool
	branch  atomic.Uint32 // of its last Via: a number of seven digits
	writeMu sync.Mutex    // serialises writing

	mu sync.Mutex
	// guarded by mu
	ladder     ladder
	inbox      []*received
	arrived    chan struct{} // closed and replaced with each message
	err        error
	pending    map[string]*exchange // by branch and method
	dialogs    map[string]*Call     // by Call-ID
	subscribed map[string]bool      // Call-IDs of subscriptions
	user       string               // address of record without sip:
	password   string
	registered uint32 // CSeq of the last REGISTER
}

// received is one message as it came in.
type received struct {
	msg   sip.Message
	taken bool // by Expect
}

// Dial opens the WebSocket. A refused handshake is a *HandshakeError.
func Dial(ctx context.Context, url string, opt Options) (*Browser, error) {
	opt = opt.withDefaults()
	header := http.Header{}
	if opt.Header != nil {
		header = opt.Header.Clone()
	}
	if !opt.NoOrigin {
		header.Set("Origin", opt.Origin)
	}
	dialer := websocket.Dialer{Subprotocols: opt.Subprotocols, TLSClientConfig: opt.TLS, HandshakeTimeout: time.Minute}
	if opt.From != nil {
		dialer.NetDialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: opt.From}}).DialContext
	}
	ws, res, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		return nil, handshakeError(res, err)
	}
	if len(opt.Subprotocols) > 0 && ws.Subprotocol() == "" {
		_ = ws.Close()
		return nil, errors.New("wsstest: the server did not echo the subprotocol: a browser closes the connection (RFC 6455 §4.1)")
	}
	b := &Browser{
		opt:     opt,
		ws:      ws,
		viaHost: letters(12) + ".invalid",
		id:      letters(5),
		done:    make(chan struct{}),
		calls:   make(chan *Call, 64),
		ladder:  ladder{start: time.Now()},
		arrived: make(chan struct{}),
		pending: make(map[string]*exchange),
		dialogs: make(map[string]*Call),
		user:    "anonymous@" + opt.Domain,
	}
	b.branch.Store(1_000_000 + rand.Uint32N(8_000_000))
	pong := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		if opt.NoPong || b.deaf.Load() {
			return nil
		}
		return pong(data)
	})
	go b.read()
	return b, nil
}

func handshakeError(res *http.Response, err error) error {
	if res == nil {
		return fmt.Errorf("wsstest: dial: %w", err)
	}
	// gorilla keeps the first kilobyte of the body.
	body, _ := io.ReadAll(res.Body)
	return &HandshakeError{Status: res.StatusCode, Header: res.Header, Body: string(bytes.TrimSpace(body)), Err: err}
}

// read is the tab's reading goroutine.
func (b *Browser) read() {
	for {
		_, data, err := b.ws.ReadMessage()
		if err != nil {
			b.gone(err)
			return
		}
		if len(bytes.Trim(data, "\r\n")) == 0 {
			b.keepalive(data)
			continue
		}
		b.receive(data)
	}
}

// keepalive answers a double CRLF with one, as JsSIP does.
func (b *Browser) keepalive(data []byte) {
	b.note("CRLF", false)
	if string(data) == "\r\n\r\n" && !b.opt.Raw {
		_ = b.write([]byte("\r\n"), "CRLF")
	}
}

func (b *Browser) receive(data []byte) {
	msg, err := sip.ParseMessage(data)
	if err != nil {
		b.note("unparseable: "+firstLine(data), false)
		b.fault("a message that cannot be parsed (%v): %q", err, data)
		return
	}
	b.mu.Lock()
	b.ladder.add(describe(msg), false)
	b.inbox = append(b.inbox, &received{msg: msg})
	close(b.arrived)
	b.arrived = make(chan struct{})
	b.mu.Unlock()
	if b.opt.Raw || b.deaf.Load() {
		return
	}
	switch msg := msg.(type) {
	case *sip.Response:
		b.onResponse(msg, data)
	case *sip.Request:
		b.onRequest(msg, data)
	}
}

// gone fails what waits for an answer (JsSIP: every pending transaction, and each session that has one; idle confirmed
// dialogs survive).
func (b *Browser) gone(err error) {
	b.mu.Lock()
	b.err = err
	b.ladder.add("closed: "+err.Error(), false)
	close(b.done)
	dialogs := make([]*Call, 0, len(b.dialogs))
	for _, c := range b.dialogs {
		dialogs = append(dialogs, c)
	}
	b.mu.Unlock()
	for _, c := range dialogs {
		if c.State() < Confirmed && c.browser() == b {
			c.end(nil, "the WebSocket was lost")
		}
	}
	_ = b.ws.Close()
}

// Send writes a message as it is; SendRaw writes bytes as one WebSocket message.
func (b *Browser) Send(msg sip.Message) error {
	text := msg.String()
	if b.opt.NoLength {
		text = withoutLength(text)
	}
	return b.write([]byte(text), describe(msg))
}

// SendRaw writes bytes as one WebSocket message, in the browser's way of framing.
func (b *Browser) SendRaw(data []byte) error { return b.write(data, firstLine(data)) }

func (b *Browser) write(data []byte, what string) error {
	b.note(what, true)
	b.writeMu.Lock()
	defer b.writeMu.Unlock()
	kind := websocket.TextMessage
	if b.opt.Binary {
		kind = websocket.BinaryMessage
	}
	_ = b.ws.SetWriteDeadline(time.Now().Add(time.Minute))
	if b.opt.Fragment <= 0 {
		return b.ws.WriteMessage(kind, data)
	}
	return writeFragments(b.ws.NetConn(), kind, data, b.opt.Fragment)
}

// Done is closed when the WebSocket is gone; Err then says why (a *websocket.CloseError where the server said so).
func (b *Browser) Done() <-chan struct{} { return b.done }

// Err is nil while the WebSocket is open.
func (b *Browser) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Close closes the WebSocket with 1000; Drop cuts the TCP connection without a word (a closed tab). Calls' media goes on
// until Call.Close. Both are safe to call twice, and wait until the reading goroutine has ended.
func (b *Browser) Close() {
	deadline := time.Now().Add(2 * time.Second)
	_ = b.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	select {
	case <-b.done:
	case <-time.After(time.Until(deadline)):
		b.Drop()
	}
}

// CloseCalls closes the media of its calls, as a tab does that is closed.
func (b *Browser) CloseCalls() {
	b.mu.Lock()
	calls := slices.Collect(maps.Values(b.dialogs))
	b.mu.Unlock()
	for _, c := range calls {
		c.Close()
	}
}

// Deafen has the browser take notice of nothing that comes from now on, as if the network had swallowed it.
func (b *Browser) Deafen() { b.deaf.Store(true) }

// Drop cuts the connection, below TLS; see Close.
func (b *Browser) Drop() {
	conn := b.ws.NetConn()
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	_ = conn.Close()
	<-b.done
}
