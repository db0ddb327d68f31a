package sipside

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"tandem/sipside/transaction"
)

// udpListener is one UDP socket: all datagrams of its address come and go by it, so that the source port of what we
// send is the port that we listen on (RFC 3581 §4).
type udpListener struct {
	// static after construction
	e     *Endpoints
	sock  *packetSocket
	alarm *alarm
	local netip.AddrPort
	name  string // the address's

	duty duty

	mu    sync.Mutex
	flows map[netip.AddrPort]*datagram // guarded by mu: of late
}

const (
	maxFlows     = 4096 // that are kept
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
	if raw, err := sock.SyscallConn(); err == nil {
		mark(raw, addr.Addr(), e.dscp)
	}
	if err := watchICMP(sock); err != nil {
		e.log.Info("ICMP errors are not seen, a dead UDP peer is known by timeouts", "listener", addr.String(), "error", err)
	}
	local := sock.LocalAddr().(*net.UDPAddr).AddrPort()
	packets, err := newPacketSocket(sock)
	if err != nil {
		return nil, err
	}
	alarm, err := newAlarm()
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return &udpListener{e: e, sock: packets, alarm: alarm, local: local, name: local.Addr().String(), flows: map[netip.AddrPort]*datagram{}}, nil
}

func (u *udpListener) addr() netip.AddrPort { return u.local }
func (u *udpListener) host() string         { return u.name }
func (u *udpListener) serves() transport    { return udp }
func (u *udpListener) close() error         { return errors.Join(u.sock.Close(), u.alarm.close()) }

// flow is the way to a peer, mostly the one that was made before.
func (u *udpListener) flow(to netip.AddrPort) *datagram {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.flows[to]
	if d == nil {
		d = &datagram{u: u, to: to, name: byIndex(to), id: "udp/" + u.local.String() + "/" + to.String()}
		if len(u.flows) >= maxFlows {
			clear(u.flows)
		}
		u.flows[to] = d
	}
	return d
}

// saidByICMP says whether a socket's error is an earlier datagram's fate.
func saidByICMP(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.ENOPROTOOPT, syscall.EACCES, syscall.EMSGSIZE, syscall.EPROTO} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// unreachable ends the transactions with peers that ICMP declares unreachable (RFC 3261 §18.4, §17.1.4); where there are other servers
// the next repetition goes to one.
func (u *udpListener) unreachable() {
	for _, peer := range unreachable(u.sock) {
		u.e.log.Debug("unreachable by ICMP", "listener", u.local.String(), "peer", peer.String())
		u.e.silences.add(peer)
		u.e.layer.FlowLost(u.flow(peer))
	}
}

// datagram is the flow from a UDP socket to a peer.
type datagram struct {
	u    *udpListener
	to   netip.AddrPort
	name netip.AddrPort // the same as the socket wants it
	id   string
}

var _ transaction.Flow = (*datagram)(nil)

// Send never blocks beyond the copy into the socket's buffer. A write reports, instead of writing, what ICMP said of an
// earlier datagram, perhaps to somebody else: then it is tried again.
func (d *datagram) Send(data []byte) error {
	err := d.u.sock.send(data, d.name)
	for range maxPendingErrors {
		if err == nil || !saidByICMP(err) {
			break
		}
		d.u.e.spawn(d.u.unreachable)
		err = d.u.sock.send(data, d.name)
	}
	if err != nil {
		d.u.forget(d)
		return fmt.Errorf("send to %s: %w", d.to, err)
	}
	d.u.e.sent(data, udp, d.u.local, d.to)
	return nil
}

// maxPendingErrors is how many other peers' errors one write steps over.
const maxPendingErrors = 3

func (d *datagram) Reliable() bool   { return false }
func (d *datagram) Identity() string { return d.id }

// forget has the way to a peer made anew: its link may have another number by then.
func (u *udpListener) forget(d *datagram) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.flows[d.to] == d {
		delete(u.flows, d.to)
	}
}
