//go:build !linux

package sipside

import (
	"net"
	"net/netip"
	"time"
)

// packetSocket is a UDP socket that one goroutine at a time reads and any writes. On Linux it is read in batches.
type packetSocket struct{ sock *net.UDPConn }

// inbox is a datagram, valid until the next one.
type inbox struct {
	buf  [maxDatagram]byte
	size int
	from netip.AddrPort
}

const batchSize = 1

func newPacketSocket(sock *net.UDPConn) (*packetSocket, error) { return &packetSocket{sock: sock}, nil }

func (p *packetSocket) Close() error { return p.sock.Close() }

func newInbox() *inbox { return new(inbox) }

// receive waits for datagrams and says how many came.
func (p *packetSocket) receive(in *inbox) (n int, err error) {
	in.size, in.from, err = p.sock.ReadFromUDPAddrPort(in.buf[:])
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// datagram is the one that came.
func (b *inbox) datagram(int) ([]byte, netip.AddrPort) {
	return b.buf[:b.size], netip.AddrPortFrom(b.from.Addr().Unmap(), b.from.Port())
}

// collect does not let datagrams come, for they are read singly.
func (p *packetSocket) collect(time.Duration) {}

func (p *packetSocket) send(data []byte, to netip.AddrPort) error {
	_, err := p.sock.WriteToUDPAddrPort(data, to)
	return err
}
