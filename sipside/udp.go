package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"tandem/sipside/transaction"
)

// udpListener is one UDP socket: all datagrams of its address come and go by it, so that the source port of what we
// send is the port that we listen on (RFC 3581 §4).
type udpListener struct {
	// static after construction
	e     *Endpoints
	sock  *net.UDPConn
	local netip.AddrPort
}

const (
	maxDatagram  = 65535
	socketBuffer = 4 << 20               // a burst of a thousand calls; the kernel may grant less
	keepaliveCut = "\r\n\x00 "           // what phones send to keep a NAT binding open
	retryAfter   = 50 * time.Millisecond // after a socket's passing error
)

func openUDP(e *Endpoints, addr netip.AddrPort) (*udpListener, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // IPv6 only, so that each family has its own socket
	}
	sock, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	// Best effort: where the kernel's limit is lower it grants that.
	_ = sock.SetReadBuffer(socketBuffer)
	_ = sock.SetWriteBuffer(socketBuffer)
	return &udpListener{e: e, sock: sock, local: sock.LocalAddr().(*net.UDPAddr).AddrPort()}, nil
}

func (u *udpListener) addr() netip.AddrPort             { return u.local }
func (u *udpListener) serves() transport                { return udp }
func (u *udpListener) close() error                     { return u.sock.Close() }
func (u *udpListener) serve() error                     { return u.read() }
func (u *udpListener) flow(to netip.AddrPort) *datagram { return &datagram{u, to} }

// read takes datagrams until the socket is closed. One goroutine reads, so that messages of a peer stay in order; the
// parser copies what it keeps, so that one buffer serves all.
func (u *udpListener) read() error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := u.sock.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			u.arrived(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // an ICMP error of an earlier datagram, or the kernel out of memory
			u.e.log.Warn("read from UDP socket", "listener", u.local.String(), "error", err)
			if !u.e.pause(retryAfter) {
				return nil
			}
		}
	}
}

func (u *udpListener) arrived(data []byte, from netip.AddrPort) {
	if _, who := u.e.sources.of(from, 0); who == stranger {
		u.e.strangers.Add(1)
		return
	}
	if len(bytes.Trim(data, keepaliveCut)) == 0 {
		return
	}
	u.e.receive(data, arrival{transport: udp, local: u.local, from: from, udp: u})
}

// datagram is the flow from a UDP socket to a peer.
type datagram struct {
	u  *udpListener
	to netip.AddrPort
}

var _ transaction.Flow = (*datagram)(nil)

// Send never blocks beyond the copy into the socket's buffer.
func (d *datagram) Send(data []byte) error {
	if _, err := d.u.sock.WriteToUDPAddrPort(data, d.to); err != nil {
		return fmt.Errorf("send to %s: %w", d.to, err)
	}
	d.u.e.sent(data, udp, d.u.local, d.to)
	return nil
}

func (d *datagram) Reliable() bool   { return false }
func (d *datagram) Identity() string { return "udp/" + d.u.local.String() + "/" + d.to.String() }
