//go:build !linux

package sipside

import (
	"net"
	"net/netip"
	"time"
)

// packetSocket is a UDP socket that one goroutine reads and any writes. On Linux it is read in batches.
type packetSocket struct {
	sock *net.UDPConn
	buf  [maxDatagram]byte
	size int
	from netip.AddrPort
}

const batchSize = 1

func newPacketSocket(sock *net.UDPConn) (*packetSocket, error) { return &packetSocket{sock: sock}, nil }

func (p *packetSocket) Close() error { return p.sock.Close() }

// receive waits for datagrams and gives how many came.
func (p *packetSocket) receive() (n int, err error) {
	p.size, p.from, err = p.sock.ReadFromUDPAddrPort(p.buf[:])
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// datagram is the one that came.
func (p *packetSocket) datagram(int) ([]byte, netip.AddrPort) {
	return p.buf[:p.size], netip.AddrPortFrom(p.from.Addr().Unmap(), p.from.Port())
}

// collect does not let datagrams come, for they are read singly.
func (p *packetSocket) collect(time.Duration) {}

func (p *packetSocket) send(data []byte, to netip.AddrPort) error {
	_, err := p.sock.WriteToUDPAddrPort(data, to)
	return err
}
