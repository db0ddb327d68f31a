package wss_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// door is a Server behind a real http.Server.
type door struct {
	*wss.Server
	URL  string // ws:// or wss://
	HTTP *httptest.Server
	far  *far
}

// open starts a door; it is shut and found without connections at the test's end.
func open(t *testing.T, cfg wss.Config, secure bool) *door {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := wss.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Server: s, far: &far{gone: make(chan *wss.Conn, 1024), requests: make(chan *transaction.Server, 1024)}}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Serve(w, r, d.far) })
	d.HTTP = httptest.NewUnstartedServer(serve)
	d.HTTP.Config.ErrorLog = slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn)
	if secure {
		d.HTTP.StartTLS()
	} else {
		d.HTTP.Start()
	}
	d.URL = "ws" + strings.TrimPrefix(d.HTTP.URL, "http") + "/sip"
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		d.HTTP.Close()
		if n := s.Stats().Connections; n != 0 {
			t.Errorf("%d connections after Shutdown", n)
		}
	})
	return d
}

// dial opens a browser; its ladder is printed when the test fails, and its faults fail the test.
func (d *door) dial(t *testing.T, opt wsstest.Options) *wsstest.Browser {
	t.Helper()
	b, err := wsstest.Dial(within(t), d.URL, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		if faults := b.Faults(); len(faults) > 0 {
			t.Errorf("faults: %q", faults)
		}
		if t.Failed() {
			t.Log(b.Ladder())
		}
	})
	return b
}

// within is a context for everything that must come soon.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(stop)
	return ctx
}

// eventually polls with a reason.
func eventually(t *testing.T, reason string, done func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("did not happen: %s", reason)
		}
	}
}

// far is the other side of the door: OPTIONS gets 200, what a test takes over goes to requests.
type far struct {
	gone     chan *wss.Conn
	requests chan *transaction.Server

	mu sync.Mutex
	// guarded by mu
	take func(c *wss.Conn, tx *transaction.Server) bool // true: the test answers
}

func (f *far) ServeBrowser(c *wss.Conn, tx *transaction.Server) {
	f.mu.Lock()
	take := f.take
	f.mu.Unlock()
	if take != nil && take(c, tx) {
		return
	}
	f.requests <- tx
	if tx.Request().Method == sip.OPTIONS {
		_ = tx.Respond(reply(tx.Request(), sip.StatusOK, "OK"))
	}
}

func (f *far) BrowserGone(c *wss.Conn) { f.gone <- c }

func (f *far) BrowserIdle(*wss.Conn) bool { return false }

func (f *far) taking(take func(c *wss.Conn, tx *transaction.Server) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.take = take
}

func reply(req *sip.Request, status int, reason string) *sip.Response {
	res := transaction.NewResponse(req, status, reason)
	if to := res.To(); status > sip.StatusTrying && !to.Params.Has("tag") {
		to.Params.Add("tag", rand.Text())
	}
	return res
}

// conn is the door's side of a browser: an OPTIONS round finds it.
func (d *door) conn(t *testing.T, b *wsstest.Browser) *wss.Conn {
	t.Helper()
	res, err := b.Do(within(t), b.NewRequest(sip.OPTIONS, "gateway"))
	if err != nil || res.StatusCode != sip.StatusOK {
		t.Fatal(res, err)
	}
	for {
		select {
		case tx := <-d.far.requests:
			if *tx.Request().CallID() == *res.CallID() {
				return tx.Flow().(*wss.Conn)
			}
		case <-within(t).Done():
			t.Fatal("the OPTIONS did not reach the handler")
		}
	}
}

// silent is a TCP connection that says only what is given.
func silent(t *testing.T, d *door, say string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", d.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(say)); err != nil {
		t.Fatal(err)
	}
	return conn
}
