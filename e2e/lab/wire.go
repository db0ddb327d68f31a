package lab

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wire is a TCP path that can be cut and mended. While it is cut, whoever connects is turned away.
type Wire struct {
	Addr string // where it begins
	to   string

	mu    sync.Mutex
	spans []*span // carried so far
	cut   bool
}

// span is one connection that is carried.
type span struct {
	near, far net.Conn
	cut       bool // then each end is closed for itself
}

// LayWire opens a path to an address until the test ends.
func LayWire(t testing.TB, to string) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.21:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Addr: listener.Addr().String(), to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.Cut()
		running.Wait()
	})
	return w
}

// carry copies both ways until Cut, or until either end closes.
func (w *Wire) carry(near net.Conn) {
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		near.Close()
		return
	}
	s := &span{near: near, far: far}
	if !w.join(s) {
		near.Close()
		far.Close()
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() { w.copy(s, far, near) })
	ways.Go(func() { w.copy(s, near, far) })
	ways.Wait()
}

func (w *Wire) copy(s *span, to, from net.Conn) {
	_, _ = io.Copy(to, from)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.cut {
		to.Close()
		from.Close()
	}
}

func (w *Wire) join(s *span) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut {
		w.spans = append(w.spans, s)
	}
	return !w.cut
}

// Cut resets every connection at both ends, and lets no other through.
func (w *Wire) Cut() { w.end(true) }

// CutNear is Cut of which the far end learns nothing: its connections stay open, and silent.
func (w *Wire) CutNear() { w.end(false) }

func (w *Wire) end(both bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, s := range w.spans {
		s.cut = true
		reset(s.near)
		if both {
			reset(s.far)
		}
	}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// Mend lets connections through again.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
