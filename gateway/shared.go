package gateway

import (
	"io"
	"net"

	"tandem/bridge/media"
)

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
