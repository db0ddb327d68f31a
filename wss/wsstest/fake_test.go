package wsstest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"
)

// gateway is a WebSocket server that says what a test wants; it is no door.
type gateway struct {
	url string
	in  chan sip.Message // what the browser sent
	out chan string      // what it gets
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{in: make(chan sip.Message, 64), out: make(chan string, 64)}
	upgrader := websocket.Upgrader{Subprotocols: []string{"sip"}, CheckOrigin: func(*http.Request) bool { return true }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				_, data, err := ws.ReadMessage()
				if err != nil {
					return
				}
				if msg, err := sip.ParseMessage(data); err == nil {
					g.in <- msg
				}
			}
		}()
		for {
			select {
			case text := <-g.out:
				_ = ws.WriteMessage(websocket.TextMessage, []byte(text))
			case <-gone:
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	g.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return g
}

func (g *gateway) dial(t *testing.T, opt Options) *Browser {
	t.Helper()
	if opt.NewSession == nil {
		opt.NewSession = func() (Session, error) { return FixedAudio(), nil }
	}
	b, err := Dial(soon(t), g.url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(stop)
	return ctx
}

// heard is the next message of the browser that match accepts.
func (g *gateway) heard(t *testing.T, match func(sip.Message) bool) sip.Message {
	t.Helper()
	for {
		select {
		case msg := <-g.in:
			if match(msg) {
				return msg
			}
		case <-soon(t).Done():
			t.Fatal("the browser did not send it")
		}
	}
}

// waitFault waits for a fault that contains the words.
func waitFault(t *testing.T, b *Browser, words string) {
	t.Helper()
	if err := poll(soon(t), func() bool { return strings.Contains(strings.Join(b.Faults(), "\n"), words) }); err != nil {
		t.Fatalf("no fault with %q, but %q\n%s", words, b.Faults(), b.Ladder())
	}
}
