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
	return &sharedConn{clientConn: conn.(*clientConn), ice: l.ice, shaking: &handshakeTurn{of: l.front.handshakes}}, nil
}

// sharedConn is a connection before its first byte; from then on it is TLS's or ICE's for good.
type sharedConn struct {
	*clientConn
	// read by one goroutine at a time, as Read is
	ice     iceDoor        // nil once it is decided
	shaking *handshakeTurn // nil once TLS's handshake is over
}

// Read gives TLS its bytes; where they are not TLS's it gives the connection away and ends. A handshake waits here for its client, and
// then for its turn to go on.
func (c *sharedConn) Read(b []byte) (int, error) {
	if c.shaking == nil {
		return c.clientConn.Read(b)
	}
	c.shaking.end()
	n, err := c.first(b)
	if n == 0 {
		return n, err
	}
	if busy := c.shaking.begin(addrOf(c.RemoteAddr())); busy != nil {
		c.front.refuse(refusedBusy, c.RemoteAddr())
		return 0, busy
	}
	return n, err
}

// shaken is called when the handshake is over, well or not.
func (c *sharedConn) shaken() {
	c.shaking.end()
	c.shaking = nil
}

// first reads while it is not decided whose the connection is.
func (c *sharedConn) first(b []byte) (int, error) {
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

// secureListener puts TLS on the connections of a sharedListener, and lets TURN in by its first byte within: a network with nothing but 443 open passes it,
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
	return &secureConn{Conn: tls.Server(conn, l.config), relay: l.relay, below: conn.(*sharedConn)}, nil
}

// secureConn is a connection with TLS before its first byte; from then on it is HTTP's or the relay's for good.
type secureConn struct {
	*tls.Conn
	below *sharedConn
	relay relayDoor   // nil once it is decided; read by one goroutine at a time, as Read is
	given atomic.Bool // to the relay: what HTTP still does to it is without effect
}

// Read gives HTTP its bytes; where they are not HTTP's it gives the connection away and ends.
func (c *secureConn) Read(b []byte) (int, error) {
	if c.below.shaking != nil {
		c.shake()
	}
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
	c.below.leave()
	relay(c.Conn, b[:n])
	return 0, io.EOF
}

// shake makes the handshake; what went wrong tls.Conn.Read says again.
func (c *secureConn) shake() {
	defer c.below.shaken()
	_ = c.Conn.Handshake()
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
		return c.below.clientConn
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
