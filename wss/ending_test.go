package wss_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// closedWith waits until the browser's connection is closed and checks the code that it saw.
func closedWith(t *testing.T, b *wsstest.Browser, code int) {
	t.Helper()
	select {
	case <-b.Done():
	case <-within(t).Done():
		t.Fatalf("the connection stays open\n%s", b.Ladder())
	}
	var closed *websocket.CloseError
	if !errors.As(b.Err(), &closed) || closed.Code != code {
		t.Errorf("closed with %v, want %d", b.Err(), code)
	}
}

// counted waits until the connection's end is counted under the reason, and no other.
func counted(t *testing.T, d *door, why wss.Closing) {
	t.Helper()
	eventually(t, "the connection is counted as "+string(why), func() bool { return d.Stats().Closed[string(why)] == 1 })
	closed := d.Stats().Closed
	for reason, n := range closed {
		if n != 0 && reason != string(why) {
			t.Errorf("%v", closed)
		}
	}
}

func TestTooBig(t *testing.T) {
	for _, opt := range []wsstest.Options{{}, {Fragment: 1000}} {
		for _, secure := range []bool{false, true} {
			d := open(t, wss.Config{MaxMessage: 5000}, secure)
			b := d.dial(t, opt)
			d.conn(t, b)
			_ = b.SendRaw([]byte(strings.Repeat("x", 400_000))) // fails where the door closes before all is written
			closedWith(t, b, websocket.CloseMessageTooBig)
			counted(t, d, wss.ClosedTooBig)
		}
	}
}

func TestTooManyMalformed(t *testing.T) {
	d := open(t, wss.Config{}, false)
	b := d.dial(t, wsstest.Options{})
	for i := range 20 {
		if i == 10 {
			d.conn(t, b) // a good one in between starts the count again
		}
		if err := b.SendRaw([]byte("rubbish")); err != nil {
			t.Fatal(err)
		}
	}
	d.conn(t, b)
	for range 16 {
		if err := b.SendRaw([]byte("rubbish")); err != nil {
			t.Fatal(err)
		}
	}
	closedWith(t, b, websocket.ClosePolicyViolation)
	counted(t, d, wss.ClosedMalformed)
}

func TestBrokenFrame(t *testing.T) {
	d := open(t, wss.Config{}, false)
	conn := silent(t, d, "GET /sip HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	if _, err := conn.Write([]byte{0x81, 0x05, 'h', 'e', 'l', 'l', 'o'}); err != nil { // not masked
		t.Fatal(err)
	}
	frame := make([]byte, 4)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := r.Read(frame); err != nil || frame[0] != 0x88 || int(frame[2])<<8|int(frame[3]) != websocket.CloseProtocolError {
		t.Errorf("%x %v", frame, err)
	}
	counted(t, d, wss.ClosedProtocol)
}

// TestPanic costs the browser whose request it was its connection, and nobody else anything.
func TestPanic(t *testing.T) {
	d := open(t, wss.Config{}, false)
	other := d.dial(t, wsstest.Options{})
	d.conn(t, other)
	d.far.taking(func(_ *wss.Conn, tx *transaction.Server) bool {
		if tx.Request().Method == sip.MESSAGE {
			panic("a handler's fault")
		}
		return false
	})
	b := d.dial(t, wsstest.Options{})
	if err := b.Send(b.NewRequest(sip.MESSAGE, "bob")); err != nil {
		t.Fatal(err)
	}
	closedWith(t, b, websocket.CloseInternalServerErr)
	counted(t, d, wss.ClosedPanic)
	<-d.far.gone
	d.conn(t, other)
	if n := d.Stats().Panics; n != 1 {
		t.Errorf("%d panics", n)
	}
}

// TestSlowReader is cut off, and Send never blocks.
func TestSlowReader(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout time.Duration
		size    int
	}{
		"by the queue":    {time.Hour, 60_000},
		"by the deadline": {50 * time.Millisecond, 1_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, wss.Config{WriteTimeout: tc.timeout}, false)
			ws, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).Dial(d.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.Close()
			options := "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n" +
				"From: <sip:a@example.com>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: slow\r\nCSeq: 1 OPTIONS\r\n\r\n"
			if err := ws.WriteMessage(websocket.TextMessage, []byte(options)); err != nil {
				t.Fatal(err)
			}
			c := (<-d.far.requests).Flow().(*wss.Conn)
			var longest time.Duration
			for err = nil; err == nil; {
				began := time.Now()
				err = c.Send(make([]byte, tc.size))
				longest = max(longest, time.Since(began))
			}
			if !errors.Is(err, wss.ErrSlow) && !errors.Is(err, wss.ErrClosed) {
				t.Error(err)
			}
			if longest > 30*time.Second {
				t.Errorf("Send took %v", longest)
			}
			<-c.Done()
			counted(t, d, wss.ClosedSlow)
		})
	}
}

func TestShutdown(t *testing.T) {
	d := open(t, wss.Config{}, true)
	b := d.dial(t, wsstest.Options{})
	c := d.conn(t, b)
	b.SetUser("alice", "")
	if err := c.Ack(transaction.Outbound{Request: toBrowser(sip.ACK)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Shutdown(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	closedWith(t, b, websocket.CloseGoingAway)
	if !strings.Contains(b.Ladder(), "◀── ACK") {
		t.Error("what was sent before the close did not arrive")
	}
	if <-d.far.gone != c {
		t.Error("another one gone")
	}
	counted(t, d, wss.ClosedShutdown)
	_, err := wsstest.Dial(within(t), d.URL, wsstest.Options{})
	var refused *wsstest.HandshakeError
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("after Shutdown: %v", err)
	}
}

// TestShutdownOfTheDeaf does not wait for a browser that never answers the close frame.
func TestShutdownOfTheDeaf(t *testing.T) {
	d := open(t, wss.Config{WriteTimeout: time.Hour}, false)
	conn := silent(t, d, "GET /sip HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	eventually(t, "the connection is the door's", func() bool { return d.Stats().Connections == 1 })
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	counted(t, d, wss.ClosedShutdown)
}

// TestSilentHandshakes block nobody: neither the one in TLS nor the one in HTTP.
func TestSilentHandshakes(t *testing.T) {
	d := open(t, wss.Config{}, true)
	for range 20 {
		silent(t, d, "")
		silent(t, d, "\x16\x03\x01")
		conn := tls.Client(silent(t, d, ""), &tls.Config{InsecureSkipVerify: true})
		if _, err := conn.Write([]byte("GET /sip HTTP/1.1\r\nHost:")); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	d.conn(t, d.dial(t, wsstest.Options{}))
	if took := time.Since(began); took > 30*time.Second { // who waits for them waits longer
		t.Errorf("a browser waited %v behind silent ones", took)
	}
}
