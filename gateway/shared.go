package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"tandem/bridge/media"
	"tandem/turn"
)

// doors are whom a connection to the port of HTTPS may be for, beside browsers' HTTP; a nil one takes none.
type doors struct {
	ice   iceDoor
	relay relayDoor
}

// relayDoor takes a connection that carries TURN over TLS, and what was read of it already.
type relayDoor func(conn net.Conn, first []byte)

func (g *Gateway) doors() doors {
	d := doors{ice: g.cfg.iceDoor(g.media)}
	if g.turn != nil {
		d.relay = g.turn.ServeConn
	}
	return d
}

// iceDoor takes a connection that carries ICE over TCP, and what was read of it already. Nil: none is taken.
type iceDoor func(conn net.Conn, first []byte)

func (c Config) iceDoor(engine *media.Engine) iceDoor {
	if c.Media.TCP.Off {
		return nil
	}
	return engine.ServeTCP
}

// sharedListener lets ICE over TCP in by the port of HTTPS, for that is the one that passes any firewall. What a connection
// is shows by its first byte, which nobody waits for in Accept: TLS reads it where it would anyway.
type sharedListener struct {
	frontListener
	ice iceDoor
}

// Accept implements net.Listener.
func (l sharedListener) Accept() (net.Conn, error) {
	conn, err := l.frontListener.Accept()
	if err != nil {
		return nil, err
	}
	return &sharedConn{clientConn: conn.(*clientConn), ice: l.ice}, nil
}

// sharedConn is a connection before its first byte; from then on it is TLS's or ICE's for good.
type sharedConn struct {
	*clientConn
	ice iceDoor // nil once it is decided; read by one goroutine at a time, as Read is
}

// Read gives TLS its bytes; where they are not TLS's it gives the connection away and ends.
func (c *sharedConn) Read(b []byte) (int, error) {
	n, err := c.clientConn.Read(b)
	if c.ice == nil || n == 0 {
		return n, err
	}
	ice := c.ice
	c.ice = nil
	if !media.FramesBegin(b[0]) {
		return n, err
	}
	c.leave()
	ice(c.clientConn, append(bytes.Clone(b[:n]), c.unread()...))
	return 0, io.EOF
}

// secureListener puts TLS on connections, and lets TURN in by its first byte within: a network with nothing but 443 open passes it,
// and nobody can tell it from a web page.
type secureListener struct {
	net.Listener
	config *tls.Config
	relay  relayDoor
}

// Accept implements net.Listener.
func (l secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &secureConn{Conn: tls.Server(conn, l.config), relay: l.relay, client: clientOf(conn)}, nil
}

// secureConn is a connection with TLS before its first byte; from then on it is HTTP's or the relay's for good.
type secureConn struct {
	*tls.Conn
	client *clientConn
	relay  relayDoor   // nil once it is decided; read by one goroutine at a time, as Read is
	given  atomic.Bool // to the relay: what HTTP still does to it is without effect
}

// Read gives HTTP its bytes; where they are not HTTP's it gives the connection away and ends.
func (c *secureConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if wrong := (tls.RecordHeaderError{}); errors.As(err, &wrong) && wrong.Conn != nil && string(wrong.RecordHeader[:3]) == "GET" {
		io.WriteString(wrong.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS.\n")
	}
	if c.relay == nil || n == 0 {
		return n, err
	}
	relay := c.relay
	c.relay = nil
	if !turn.Begins(b[0]) {
		return n, err
	}
	c.given.Store(true)
	c.Conn.SetDeadline(time.Time{})
	c.client.leave()
	relay(c.Conn, b[:n])
	return 0, io.EOF
}

// Close implements net.Conn.
func (c *secureConn) Close() error {
	if c.given.Load() {
		return nil
	}
	return c.Conn.Close()
}

// SetReadDeadline implements net.Conn.
func (c *secureConn) SetReadDeadline(t time.Time) error {
	if c.given.Load() {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *secureConn) SetWriteDeadline(t time.Time) error {
	if c.given.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *secureConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// clientOf is the client's connection below TLS and whatever else; nil where it is none of ours.
func clientOf(conn net.Conn) *clientConn {
	switch c := conn.(type) {
	case *clientConn:
		return c
	case *sharedConn:
		return c.clientConn
	case *secureConn:
		return c.client
	}
	return nil
}

type connKey struct{}

// keepConn lets a request know its connection.
func keepConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// seen tells the requests of our listeners what net/http does not know of them: TLS, which it knows of connections of crypto/tls alone,
// and behind a proxy the client's address, which stands in RemoteAddr from here on; its port is 0 where the proxy does not say it.
func seen(f *front, next http.Handler) http.Handler {
	by := f.header()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		if secure, ok := conn.(*secureConn); ok {
			state := secure.ConnectionState()
			r.TLS = &state
		}
		if c := clientOf(conn); c != nil {
			if peer, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
				peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
				r.RemoteAddr = forwardedBy(peer, r.Header, by, f.isProxy).String()
			}
		}
		next.ServeHTTP(w, r)
	})
}
