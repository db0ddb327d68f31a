package sipside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// streamListener accepts TCP or TLS connections.
type streamListener struct {
	// static after construction
	e         *Endpoints
	transport transport
	listener  net.Listener
	local     netip.AddrPort
	name      string      // the address's
	tls       *tls.Config // for TLS
}

func openStream(e *Endpoints, t transport, addr netip.AddrPort, config *tls.Config) (*streamListener, error) {
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	l, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	if raw, err := l.SyscallConn(); err == nil {
		mark(raw, addr.Addr(), e.dscp)
	}
	local := l.Addr().(*net.TCPAddr).AddrPort()
	return &streamListener{e: e, transport: t, listener: l, local: local, name: local.Addr().String(), tls: config}, nil
}

func (s *streamListener) addr() netip.AddrPort { return s.local }
func (s *streamListener) host() string         { return s.name }
func (s *streamListener) serves() transport    { return s.transport }
func (s *streamListener) close() error         { return s.listener.Close() }

// serve accepts until the listener is closed.
func (s *streamListener) serve() error {
	for {
		sock, err := s.listener.Accept()
		switch {
		case err == nil:
			s.admit(sock)
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of files: wait for some to be closed
			s.e.log.Warn("accept", "listener", s.local.String(), "error", err)
			if !s.e.pause(retryAfter) {
				return nil
			}
		}
	}
}

// admit starts a backend's connection and closes anybody else's.
func (s *streamListener) admit(sock net.Conn) {
	at := sock.RemoteAddr().(*net.TCPAddr).AddrPort()
	peer := netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if _, who := s.e.sources.of(peer, 0); who == stranger {
		s.e.strangers.Add(1)
		s.e.guard.Stranger(peer, string(s.transport), nil)
		_ = sock.Close() // it is owed nothing
		return
	}
	if raw, err := sock.(*net.TCPConn).SyscallConn(); err == nil {
		bound(raw, s.e.limits.unacked)
	}
	c := s.e.newConn(s.transport, peer)
	open := func(ctx context.Context) (net.Conn, error) {
		if s.transport == tcp {
			return sock, nil
		}
		return handshake(ctx, tls.Server(sock, s.tls), s.e.limits.dial)
	}
	if !s.e.connections.accept(c) || !s.e.spawn(func() { c.run(open) }) {
		s.e.connections.remove(c)
		c.cancel()
		_ = sock.Close()
	}
}

func handshake(ctx context.Context, t *tls.Conn, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return t, nil
}
