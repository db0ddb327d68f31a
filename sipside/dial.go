package sipside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// connKey is what makes two destinations the same connection.
type connKey struct {
	transport transport
	addr      netip.AddrPort
	name      string // for TLS: the name that the certificate must show (RFC 5922 §7.1)
	trunk     *TLS   // for TLS with a trunk that has its own
}

// connections are all open connections; dialled ones are found again by destination.
type connections struct {
	serial atomic.Uint64

	mu      sync.Mutex
	dialled map[connKey]*conn  // guarded by mu
	all     map[*conn]struct{} // guarded by mu; at most maxConns
	perPeer map[netip.Addr]int // guarded by mu; accepted ones
}

const (
	maxConns        = 4096
	maxConnsPerPeer = 512
)

var errTooMany = errors.New("sipside: too many connections")

// to gives the connection to a destination, dialled in the background where there is none.
func (e *Endpoints) to(key connKey) (*conn, error) {
	c, fresh, err := e.connections.find(key, func() *conn { return e.newConn(key.transport, key.addr) })
	if err != nil || !fresh {
		return c, err
	}
	if !e.spawn(func() { c.run(func(ctx context.Context) (net.Conn, error) { return e.dial(ctx, key) }) }) {
		e.connections.remove(c)
		c.shut(errClosed)
		return nil, errClosed
	}
	return c, nil
}

// established gives the connection to a destination if there is one that works.
func (e *Endpoints) established(key connKey) *conn {
	e.connections.mu.Lock()
	c := e.connections.dialled[key]
	e.connections.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.ready:
	default:
		return nil
	}
	if c.cause() != nil {
		return nil
	}
	return c
}

func (e *Endpoints) dial(ctx context.Context, key connKey) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.limits.dial)
	defer cancel()
	dialer := net.Dialer{Control: func(_, _ string, sock syscall.RawConn) error {
		mark(sock, key.addr.Addr(), e.dscp)
		bound(sock, e.limits.unacked)
		return nil
	}}
	// Peers know us by address: leave by the listener's, not by whichever the route would choose.
	if l := e.listenerFor(key.transport, key.addr.Addr()); l != nil && !l.addr().Addr().IsUnspecified() {
		dialer.LocalAddr = &net.TCPAddr{IP: l.addr().Addr().AsSlice()}
	}
	sock, err := dialer.DialContext(ctx, "tcp", key.addr.String())
	if err != nil {
		return nil, err
	}
	if key.transport == tcp {
		return sock, nil
	}
	return handshake(ctx, tls.Client(sock, e.clientConfig(key)), e.limits.dial)
}

// find gives the connection of a key that is not gone, or adds the one that fresh makes.
func (s *connections) find(key connKey, fresh func() *conn) (c *conn, isFresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.dialled[key]; c != nil && c.cause() == nil {
		return c, false, nil
	}
	if len(s.all) >= maxConns {
		return nil, false, fmt.Errorf("connect to %s: %w", key.addr, errTooMany)
	}
	c = fresh()
	c.key = key
	s.dialled[key] = c
	s.all[c] = struct{}{}
	return c, true, nil
}

// accept adds an incoming connection; false where its peer has too many.
func (s *connections) accept(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxConns || s.perPeer[c.peer.Addr()] >= maxConnsPerPeer {
		return false
	}
	s.perPeer[c.peer.Addr()]++
	s.all[c] = struct{}{}
	return true
}

// remove forgets a connection; one that was never added, or is forgotten already, is no fault.
func (s *connections) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.all[c]; !known {
		return
	}
	delete(s.all, c)
	if c.key == (connKey{}) {
		if s.perPeer[c.peer.Addr()]--; s.perPeer[c.peer.Addr()] == 0 {
			delete(s.perPeer, c.peer.Addr())
		}
		return
	}
	if s.dialled[c.key] == c {
		delete(s.dialled, c.key)
	}
}

func (s *connections) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// shutAll ends every connection.
func (s *connections) shutAll() {
	s.mu.Lock()
	var open []*conn
	for c := range s.all {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.shut(errClosed)
	}
}
