package wss_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"tandem/sipside/transaction"
	"tandem/wss"
)

// pipes is a listener over net.Pipe, so that synctest owns the time.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

type addressed struct{ net.Conn }

func (addressed) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 2} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return addressed{c}, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

type nobody struct{}

func (nobody) ServeBrowser(*wss.Conn, *transaction.Server) {}
func (nobody) BrowserGone(*wss.Conn)                       {}
func (nobody) BrowserIdle(*wss.Conn) bool                  { return false }

// TestPings is the default clockwork: a ping each 25 s, and the end 35 s after the last pong.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := wss.New(wss.Config{})
		if err != nil {
			t.Fatal(err)
		}
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Serve(w, r, nobody{}) })}
		go func() { _ = web.Serve(p) }()
		ws, _, err := (&websocket.Dialer{NetDialContext: p.dial, Subprotocols: []string{"sip"}}).Dial("ws://door/", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var pings []time.Duration
		answer := true
		ws.SetPingHandler(func(data string) error {
			pings = append(pings, time.Since(began))
			if len(pings) == 4 {
				answer = false
			}
			if !answer {
				return nil
			}
			return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		})
		if _, _, err = ws.ReadMessage(); err == nil {
			t.Error("a message out of nothing")
		}
		if len(pings) != 4 || pings[0] != 25*time.Second || pings[3] != 100*time.Second {
			t.Errorf("pings at %v", pings)
		}
		if ended := time.Since(began); ended != 110*time.Second { // 35 s after the pong at 75 s
			t.Errorf("ended after %v", ended)
		}
		synctest.Wait()
		if s.Stats().Closed[string(wss.ClosedNoPong)] != 1 {
			t.Errorf("%v", s.Stats().Closed)
		}
		_ = ws.Close()
		_ = web.Close()
	})
}
