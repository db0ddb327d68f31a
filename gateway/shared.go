package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
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
	net.Listener
	ice iceDoor
}

// Accept implements net.Listener.
func (l sharedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && l.ice != nil {
		return &sharedConn{TCPConn: tcp, ice: l.ice}, err
	}
	return conn, err
}

// sharedConn is a connection before its first byte; from then on it is TLS's or ICE's for good.
type sharedConn struct {
	*net.TCPConn
	ice iceDoor // nil once it is decided; read by one goroutine at a time, as Read is
}

// Read gives TLS its bytes; where they are not TLS's it gives the connection away and ends.
func (c *sharedConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if c.ice == nil || n == 0 {
		return n, err
	}
	ice := c.ice
	c.ice = nil
	if !media.FramesBegin(b[0]) {
		return n, err
	}
	ice(c.TCPConn, b[:n])
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
	return &secureConn{Conn: tls.Server(conn, l.config), relay: l.relay}, nil
}

// secureConn is a connection with TLS before its first byte; from then on it is HTTP's or the relay's for good.
type secureConn struct {
	*tls.Conn
	relay relayDoor   // nil once it is decided; read by one goroutine at a time, as Read is
	given atomic.Bool // to the relay: what HTTP still does to it is without effect
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

type connKey struct{}

// keepConn lets a request know its connection.
func keepConn(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*secureConn); ok {
		return context.WithValue(ctx, connKey{}, secure.Conn)
	}
	return ctx
}

// seenSecure fills Request.TLS, which net/http does for connections of crypto/tls alone.
func seenSecure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secure, ok := r.Context().Value(connKey{}).(*tls.Conn); ok {
			state := secure.ConnectionState()
			r.TLS = &state
		}
		next.ServeHTTP(w, r)
	})
}
