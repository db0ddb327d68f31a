package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pires/go-proxyproto"

	"tandem/gateway/guard"
	"tandem/wss"
)

// Why a connection to the browsers' listeners is closed before anybody served it; keys of frontStats.Refused.
const (
	refusedFull    = "full"         // as many as there may be that are no WebSocket
	refusedAddress = "address"      // as many as there may be from one address
	refusedHeader  = "proxy-header" // a proxy's connection that does not begin with the PROXY protocol
	refusedNoProxy = "no-proxy"     // somebody who is no proxy begins with it
	refusedBusy    = "busy"         // more TLS handshakes than can be computed beside the calls
)

// frontStats are the figures of the browsers' listeners, before anybody is a WebSocket.
type frontStats struct {
	Connections int // that are no WebSocket, or not yet
	Refused     map[string]uint64
}

// front is what all browsers' listeners share: who stands before them, and how many may come in. Safe for concurrent use.
type front struct {
	// static after construction
	admits     func(client netip.Addr) bool // before anything else is done with a connection
	proxies    []netip.Prefix
	by         []string     // ClientAddress
	crowd      *guard.Crowd // of connections that are no WebSocket, or not yet
	webSockets webSocketCrowd
	handshakes *handshakes
	log        *slog.Logger

	mu      sync.Mutex
	refused map[string]uint64 // guarded by mu
}

func newFront(h HTTPS, admits, known func(netip.Addr) bool, log *slog.Logger) *front {
	f := &front{by: h.clientAddress(), admits: admits, log: log, refused: map[string]uint64{
		refusedFull: 0, refusedAddress: 0, refusedHeader: 0, refusedNoProxy: 0, refusedBusy: 0,
	}}
	for _, n := range h.Proxies {
		f.proxies = append(f.proxies, n.Prefix)
	}
	limits := h.Limits.withDefaults()
	f.crowd = guard.NewCrowd(limits.Handshakes, limits.HandshakesPerAddress, f.isProxy)
	f.handshakes = newHandshakes(known)
	f.webSockets = webSocketCrowd{guard.NewCrowd(limits.Connections, limits.PerAddress, f.isProxy)}
	return f
}

// webSocketCrowd is the WebSockets' own.
type webSocketCrowd struct{ *guard.Crowd }

var _ wss.Crowd = webSocketCrowd{}

// Enter implements wss.Crowd.
func (c webSocketCrowd) Enter(from netip.Addr) (full string) {
	switch c.Crowd.Enter(from) {
	case guard.FullInAll:
		return wss.FullInAll
	case guard.FullForAddress:
		return wss.FullForAddress
	}
	return ""
}

func (f *front) isProxy(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(f.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (f *front) refuse(why string, from net.Addr) {
	f.mu.Lock()
	f.refused[why]++
	f.mu.Unlock()
	f.log.Debug("connection refused", "remote", from.String(), "reason", why)
}

func (f *front) stats() frontStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return frontStats{Connections: f.crowd.Len(), Refused: maps.Clone(f.refused)}
}

// header is the header that a proxy's HTTP requests are believed in; "" for none.
func (f *front) header() string {
	for _, by := range f.by {
		if by != byProxyProtocol {
			return by
		}
	}
	return ""
}

// frontListener counts who comes in, and lets nobody in where there is no room.
type frontListener struct {
	net.Listener // of TCP
	front        *front
}

// Accept implements net.Listener; it gives a *clientConn.
func (l frontListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &clientConn{TCPConn: conn.(*net.TCPConn), front: l.front}
		from := addrOf(conn.RemoteAddr())
		proxied := slices.Contains(l.front.by, byProxyProtocol)
		if proxied && l.front.isProxy(from) {
			c.expects, from = true, netip.Addr{}
		}
		c.untold = proxied && !c.expects
		if from.IsValid() && !l.front.isProxy(from) && !l.front.admits(from) { // who counts
			conn.Close()
			continue
		}
		if full := l.front.crowd.Enter(from); full != guard.Room {
			l.front.refuse(string(full), conn.RemoteAddr())
			conn.Close()
			continue
		}
		c.from = from
		return c, nil
	}
}

func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// clientConn is a connection to a browsers' listener. Who is at its far end a proxy may say in a header before everything else (the
// PROXY protocol), which the first Read takes off; RemoteAddr and LocalAddr are the client's from then on.
type clientConn struct {
	*net.TCPConn
	front *front

	// owned by who serves it, one goroutine at a time
	expects bool       // it has to begin with a header
	untold  bool       // it must not
	early   []byte     // read with the header, and not given out
	from    netip.Addr // in whose name it is in the crowd
	left    bool

	ends atomic.Pointer[ends] // nil: those of the socket
}

// ends are the addresses of a connection as its client sees it.
type ends struct{ remote, local net.Addr }

// Read implements net.Conn.
func (c *clientConn) Read(b []byte) (int, error) {
	if c.expects {
		if err := c.meet(); err != nil {
			return 0, err
		}
		c.expects = false
	}
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	n, err := c.TCPConn.Read(b)
	if c.untold && n > 0 {
		c.untold = false
		if bytes.HasPrefix(b[:n], []byte("PROXY ")) || bytes.HasPrefix(b[:n], proxyproto.SIGV2) {
			c.front.refuse(refusedNoProxy, c.RemoteAddr())
			return 0, io.EOF
		}
	}
	return n, err
}

// unread takes what Read would give without waiting.
func (c *clientConn) unread() []byte {
	rest := c.early
	c.early = nil
	return rest
}

// meet reads the proxy's header, and counts the connection in the client's name.
func (c *clientConn) meet() error {
	in := bufio.NewReaderSize(c.TCPConn, 512)
	if _, err := in.Peek(1); err != nil { // a health check says nothing
		return err
	}
	header, err := proxyproto.Read(in)
	if err != nil {
		c.front.refuse(refusedHeader, c.TCPConn.RemoteAddr())
		return fmt.Errorf("gateway: PROXY protocol from %s: %w", c.TCPConn.RemoteAddr(), err)
	}
	c.early, _ = in.Peek(in.Buffered())
	remote, isTCP := header.SourceAddr.(*net.TCPAddr)
	if header.Command.IsLocal() || !isTCP { // the proxy itself, or it does not know
		return nil
	}
	c.ends.Store(&ends{remote, c.reached(header.DestinationAddr)})
	client := addrOf(remote)
	if !c.front.isProxy(client) && !c.front.admits(client) { // who counts
		return io.EOF
	}
	if c.front.crowd.Name(client) != guard.Room {
		c.front.refuse(refusedAddress, remote)
		return io.EOF
	}
	c.from = client
	return nil
}

// reached is the address of ours that the client has reached: the one that it asked the proxy for, where that is this machine's.
func (c *clientConn) reached(asked net.Addr) net.Addr {
	to, ok := asked.(*net.TCPAddr)
	if !ok {
		return c.TCPConn.LocalAddr()
	}
	ours, err := net.InterfaceAddrs()
	if err != nil {
		return c.TCPConn.LocalAddr()
	}
	for _, a := range ours {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addrOf(to) {
			return to
		}
	}
	return c.TCPConn.LocalAddr()
}

// leave takes it out of the crowd: it is closed, or somebody else's who counts for himself. Safe to call twice.
func (c *clientConn) leave() {
	if !c.left {
		c.left = true
		c.front.crowd.Leave(c.from)
	}
}

// RemoteAddr implements net.Conn.
func (c *clientConn) RemoteAddr() net.Addr {
	if e := c.ends.Load(); e != nil {
		return e.remote
	}
	return c.TCPConn.RemoteAddr()
}

// LocalAddr implements net.Conn.
func (c *clientConn) LocalAddr() net.Addr {
	if e := c.ends.Load(); e != nil {
		return e.local
	}
	return c.TCPConn.LocalAddr()
}

// noteState is the HTTP server's ConnState: whoever became a WebSocket, or is gone, makes room.
func noteState(conn net.Conn, state http.ConnState) {
	if state != http.StateHijacked && state != http.StateClosed {
		return
	}
	if c := clientOf(conn); c != nil {
		c.leave()
	}
}
