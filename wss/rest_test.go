package wss_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/wss"
)

// sleeper is a browser whose frames a test writes byte by byte.
type sleeper struct {
	t    *testing.T
	d    *door
	ws   *websocket.Conn
	conn *wss.Conn // the door's side
	sent int
}

// sleep gives a connection of the door that has served a message and rests.
func sleep(t *testing.T, cfg wss.Config, secure bool) *sleeper {
	t.Helper()
	s := &sleeper{t: t, d: open(t, cfg, secure)}
	dialer := websocket.Dialer{Subprotocols: []string{"sip"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial(s.d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	s.ws = ws
	s.write(s.options())
	s.conn = s.served()
	s.rests()
	return s
}

func (s *sleeper) rests() {
	s.t.Helper()
	eventually(s.t, "the connection rests", s.conn.Resting)
}

// options is a frame with a request, masked with zeros (RFC 6455 §5.3).
func (s *sleeper) options() []byte {
	s.sent++
	text := fmt.Sprintf("OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK%d\r\nMax-Forwards: 69\r\n"+
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: sleeper%d\r\nCSeq: 1 OPTIONS\r\n\r\n", s.sent, s.sent)
	return append([]byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}, text...)
}

func (s *sleeper) write(data []byte) {
	s.t.Helper()
	if _, err := s.ws.NetConn().Write(data); err != nil {
		s.t.Fatal(err)
	}
}

// served waits for one request at the handler.
func (s *sleeper) served() *wss.Conn {
	s.t.Helper()
	select {
	case tx := <-s.d.far.requests:
		return tx.Flow().(*wss.Conn)
	case <-within(s.t).Done():
		s.t.Fatal("a request did not reach the handler")
		return nil
	}
}

// TestRest wakes a connection that rests by whatever a browser may send, in whatever pieces.
func TestRest(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			s := sleep(t, wss.Config{}, secure)
			s.write(s.options())
			s.served()
			s.rests()

			s.write(append(s.options(), s.options()...)) // two in one piece
			s.served()
			s.served()
			s.rests()

			pong := []byte{0x8a, 0x82, 0, 0, 0, 0, 'h', 'i'}
			message := s.options()
			s.write(append(append(append([]byte{}, pong...), pong...), message[:1]...)) // the head of a frame in two pieces
			s.rests()
			s.write(message[1:40])
			s.write(message[40:])
			s.served()
			s.rests()

			s.write([]byte{0x89, 0x80, 0, 0, 0, 0}) // a ping, which some clients send, and then a message
			s.write(s.options())
			s.served()
			if s.d.Stats().Connections != 1 {
				t.Error("the connection is gone")
			}
		})
	}
}

// TestRestLives as long as pongs come, and no longer.
func TestRestLives(t *testing.T) {
	t.Parallel()
	s := sleep(t, wss.Config{PingEvery: 200 * time.Millisecond, PongWait: 20 * time.Second}, true)
	var pings atomic.Int32
	s.ws.SetPingHandler(func(data string) error {
		pings.Add(1)
		return s.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	go func() { _, _, _ = s.ws.ReadMessage(); _, _, _ = s.ws.ReadMessage() }()
	eventually(t, "some pings are answered", func() bool { return pings.Load() >= 5 })
	s.rests()

	deaf := sleep(t, wss.Config{PingEvery: 6 * time.Second, PongWait: 100 * time.Millisecond}, true)
	counted(t, deaf.d, wss.ClosedNoPong)
	<-deaf.d.far.gone
}

// TestRestEnds by either side, and by the shutdown's patience.
func TestRestEnds(t *testing.T) {
	t.Parallel()
	for why, end := range map[wss.Closing]func(s *sleeper){
		wss.ClosedLost: func(s *sleeper) { _ = s.ws.NetConn().(*tls.Conn).NetConn().Close() },
		wss.ClosedByPeer: func(s *sleeper) {
			_ = s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
		},
		wss.ClosedByGateway: func(s *sleeper) {
			s.conn.Close(websocket.CloseNormalClosure, "enough")
			for err := error(nil); err == nil; {
				_, _, err = s.ws.ReadMessage() // answers the close frame
			}
		},
		wss.ClosedShutdown: func(s *sleeper) {
			ctx, stop := context.WithCancel(context.Background())
			stop()
			if err := s.d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				s.t.Error(err)
			}
		},
	} {
		t.Run(string(why), func(t *testing.T) {
			t.Parallel()
			s := sleep(t, wss.Config{}, true)
			end(s)
			counted(t, s.d, why)
			if <-s.d.far.gone != s.conn {
				t.Error("another one gone")
			}
			if s.conn.Resting() {
				t.Error("it rests still")
			}
		})
	}
}
