package wss_test

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// crowd lets in who is below most, and notes who is in.
type crowd struct {
	most int
	full string

	mu sync.Mutex
	in map[netip.Addr]int // guarded by mu
}

func (c *crowd) Enter(from netip.Addr) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in[from] >= c.most {
		return c.full
	}
	c.in[from]++
	return ""
}

func (c *crowd) Leave(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in[from]--; c.in[from] == 0 {
		delete(c.in, from)
	}
}

func (c *crowd) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in)
}

// TestCrowd is a handshake without room for it; whoever goes makes room, and so does one that was not granted for another reason.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		full   string
		status int
		reason wss.Refusal
	}{
		{wss.FullInAll, http.StatusServiceUnavailable, wss.RefusedFull},
		{wss.FullForAddress, http.StatusTooManyRequests, wss.RefusedAddress},
	} {
		room := &crowd{most: 1, full: tc.full, in: map[netip.Addr]int{}}
		d := open(t, wss.Config{Crowd: room}, false)
		res, err := http.DefaultTransport.RoundTrip(brokenKey(t, d))
		if err != nil || res.StatusCode != http.StatusBadRequest {
			t.Fatal(res, err)
		}
		res.Body.Close()
		b := d.dial(t, wsstest.Options{})
		var refused *wsstest.HandshakeError
		if _, err := wsstest.Dial(within(t), d.URL, wsstest.Options{}); !errors.As(err, &refused) || refused.Status != tc.status {
			t.Fatal(err)
		}
		if n := d.Stats().Refused[string(tc.reason)]; n != 1 {
			t.Errorf("%v", d.Stats().Refused)
		}
		b.Close()
		eventually(t, "there is room", func() bool { return room.len() == 0 })
		d.dial(t, wsstest.Options{})
	}
}

// brokenKey is a handshake that goes wrong in the upgrade itself.
func brokenKey(t *testing.T, d *door) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), "GET", d.HTTP.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Protocol": {"sip"}, "Sec-Websocket-Key": {"short"}}
	return req
}

// TestPerUser is a user who comes once more than he may: his oldest connection goes, and nobody else's.
func TestPerUser(t *testing.T) {
	t.Parallel()
	d := open(t, wss.Config{PerUser: 2}, false)
	var browsers []*wsstest.Browser
	for i, user := range []string{"alice", "bob", "alice", "alice"} {
		b := d.dial(t, wsstest.Options{})
		c := d.conn(t, b)
		c.Registered(user)
		c.Registered(user) // a refresh counts once
		if i == 0 {
			c.Registered("carol")
		}
		browsers = append(browsers, b)
	}
	closedWith(t, browsers[0], websocket.ClosePolicyViolation)
	counted(t, d, wss.ClosedUser)
	for _, b := range browsers[1:] {
		d.conn(t, b)
	}
}

// TestRate is a browser that says more than it may, by messages and by pings.
func TestRate(t *testing.T) {
	t.Parallel()
	flood := func(b *wsstest.Browser) {
		for range 1000 {
			if b.SendRaw([]byte("\r\n")) != nil { // the door has closed
				return
			}
		}
	}
	d := open(t, wss.Config{MaxRate: 10, WriteTimeout: time.Minute}, false)
	for range 3 { // as many at once as are no flood
		d.conn(t, d.dial(t, wsstest.Options{}))
	}
	b := d.dial(t, wsstest.Options{})
	d.conn(t, b)
	flood(b)
	closedWith(t, b, websocket.ClosePolicyViolation)
	eventually(t, "it is counted", func() bool { return d.Stats().Closed[string(wss.ClosedRate)] == 1 })

	pings, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).DialContext(within(t), d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pings.Close()
	go func() { // answers the close frame, without which the door would wait out its WriteTimeout
		for {
			if _, _, err := pings.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for range 1000 {
		if pings.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Minute)) != nil {
			break
		}
	}
	eventually(t, "pings are counted, too", func() bool { return d.Stats().Closed[string(wss.ClosedRate)] == 2 })
}

// idle lets a test say which connections are used.
type idle struct {
	nobody
	asked atomic.Int32
	used  atomic.Bool
	come  chan *wss.Conn
}

func (i *idle) BrowserIdle(*wss.Conn) bool { i.asked.Add(1); return i.used.Load() }

func (i *idle) ServeBrowser(c *wss.Conn, _ *transaction.Server) { i.come <- c }

// TestUnregistered is who opens a WebSocket and then nothing: asked about each minute, and closed where it is used for nothing.
func TestUnregistered(t *testing.T) {
	t.Parallel()
	for _, registers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, err := wss.New(wss.Config{Unregistered: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			h := &idle{come: make(chan *wss.Conn, 1)}
			h.used.Store(true)
			p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
			web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Serve(w, r, h) })}
			go func() { _ = web.Serve(p) }()
			ws, _, err := (&websocket.Dialer{NetDialContext: p.dial, Subprotocols: []string{"sip"}}).Dial("ws://door/", nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			ended := make(chan error, 1)
			go func() {
				_, _, err := ws.ReadMessage()
				ended <- err
			}()
			time.AfterFunc(150*time.Second, func() { h.used.Store(false) }) // a call that ends, between two looks
			if registers {
				text := "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n" +
					"From: <sip:a@example.com>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
				if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
				c := <-h.come
				c.Registered("alice")
				time.AfterFunc(time.Hour, func() { c.Close(websocket.CloseNormalClosure, "enough") })
			}
			err = <-ended
			var closed *websocket.CloseError
			want, after, asked := websocket.ClosePolicyViolation, 3*time.Minute, int32(3)
			if registers {
				want, after, asked = websocket.CloseNormalClosure, time.Hour, 0
			}
			if !errors.As(err, &closed) || closed.Code != want || time.Since(began) != after || h.asked.Load() != asked {
				t.Errorf("registers %v: %v after %v, asked %d times", registers, err, time.Since(began), h.asked.Load())
			}
			_ = ws.Close()
			_ = web.Close()
			synctest.Wait()
		})
	}
}

// TestOriginLists is the forms that a list of origins may have.
func TestOriginLists(t *testing.T) {
	t.Parallel()
	d := open(t, wss.Config{Origins: []string{"https://*.example.com", "https://*.example.net:8443", "http://Plain.example", "null"}}, false)
	for origin, admitted := range map[string]bool{
		"https://a.example.com":             true,
		"https://a.b.example.com":           true,
		"HTTPS://A.Example.COM:443":         true,
		"https://example.com":               false,
		"https://evilexample.com":           false,
		"https://a.example.com.evil.test":   false,
		"https://a.example.com:8443":        false,
		"http://a.example.com":              false,
		"https://.example.com":              false,
		"https://a.example.net:8443":        true,
		"https://a.example.net":             false,
		"http://plain.example:80":           true,
		"http://plain.example":              true,
		"null":                              true,
		"NULL":                              false,
		"":                                  false,
		"https://a.example.com/":            false,
		"https://user@a.example.com":        false,
		"https://*.example.com":             true, // no host that anybody has
		"https://evil.test#a.example.com":   false,
		"https://evil.test\\.a.example.com": false,
	} {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).DialContext(within(t), d.URL, http.Header{"Origin": {origin}})
		if (err == nil) != admitted {
			t.Errorf("%q: %v", origin, err)
		}
		if err == nil {
			_ = ws.Close()
		}
	}
}

// TestNoExtensions is an offer of compression: it is declined, and who compresses all the same is let go (RFC 6455 §5.2).
func TestNoExtensions(t *testing.T) {
	t.Parallel()
	d := open(t, wss.Config{}, false)
	ws, res, err := (&websocket.Dialer{Subprotocols: []string{"sip"}, EnableCompression: true}).DialContext(within(t), d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	offered := res.Request.Header["Sec-WebSocket-Extensions"] // as gorilla writes it
	if got := res.Header.Get("Sec-Websocket-Extensions"); got != "" || !strings.Contains(strings.Join(offered, ""), "permessage-deflate") {
		t.Errorf("offered %q, got %q", offered, got)
	}
	ws.EnableWriteCompression(true) // no effect: it was not negotiated
	if err := ws.WriteMessage(websocket.TextMessage, []byte("\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := ws.ReadMessage(); err != nil || string(text) != "\r\n" {
		t.Fatalf("%q %v", text, err)
	}
	for _, first := range []byte{0xc1, 0xa1, 0x91} { // text with RSV1, RSV2, RSV3
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).DialContext(within(t), d.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		if _, err := ws.NetConn().Write([]byte{first, 0x84, 0, 0, 0, 0, 'a', 'b', 'c', 'd'}); err != nil {
			t.Fatal(err)
		}
		var closed *websocket.CloseError
		if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != websocket.CloseProtocolError {
			t.Errorf("%x: %v", first, err)
		}
	}
	eventually(t, "they are counted", func() bool { return d.Stats().Closed[string(wss.ClosedProtocol)] == 3 })
}

// TestAnnouncedTooBig is refused by what its frame header announces: not a byte of it is waited for.
func TestAnnouncedTooBig(t *testing.T) {
	t.Parallel()
	d := open(t, wss.Config{}, false)
	for name, frames := range map[string][]byte{
		"65536 bytes":         {0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		"2^62 bytes":          {0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"a fragment too many": append(fragment(0x01, 60000), 0x80, 0xfe, 0xea, 0x60, 0, 0, 0, 0),
	} {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).DialContext(within(t), d.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		if _, err := ws.NetConn().Write(frames); err != nil {
			t.Fatal(err)
		}
		var closed *websocket.CloseError
		if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != websocket.CloseMessageTooBig {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := d.dial(t, wsstest.Options{})
	if res, err := b.Do(within(t), b.NewRequest(sip.OPTIONS, "x")); err != nil || res.StatusCode != 200 {
		t.Error(res, err)
	}
}

// fragment is a masked frame of so many bytes.
func fragment(first byte, length int) []byte {
	return append([]byte{first, 0xfe, byte(length >> 8), byte(length), 0, 0, 0, 0}, make([]byte, length)...)
}
