package turn

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// PacketConn is a net.PacketConn that makes no garbage for addresses. A *net.UDPConn is one.
type PacketConn = interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// Plane has relays without sockets: what clients exchange with the gateway's own media stays within the process. The media engine
// meets it. Its methods are safe for concurrent use.
type Plane interface {
	// PacketConn opens a relayed address for the client at an address. by is the Listen.Conn by which the client's packets come: then
	// the plane takes its ChannelData and sends what is for it; nil: its packets are written to what is returned, and what is for it
	// comes out of there. meter is asked for each packet, in from the media or out to it; false drops it. Close ends all.
	PacketConn(relay, client netip.AddrPort, by net.PacketConn, meter func(in bool, size int) bool) (PacketConn, error)
	// Bind lets packets pass between a relayed address and a media port: by a channel, or, with channel 0, by a permission.
	Bind(relay, peer netip.AddrPort, channel uint16)
	// Unbind takes that back.
	Unbind(relay, peer netip.AddrPort, channel uint16)
}

// virtuals are the relayed addresses of the plane: names that no socket has.
type virtuals struct {
	mu    sync.Mutex // guards what follows
	taken map[netip.AddrPort]struct{}
}

var errNoPort = errors.New("turn: no relayed address is left")

// take gives an address with a port from low to high that nobody has; a port that is not 0 is that one or none.
func (v *virtuals) take(addr netip.Addr, low, high, port uint16) (netip.AddrPort, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	count := int(high) - int(low) + 1
	first := rand.IntN(count)
	if port != 0 {
		if port < low || port > high {
			return netip.AddrPort{}, errNoPort
		}
		first, count = int(port-low), 1
	}
	for i := range count {
		at := netip.AddrPortFrom(addr, low+uint16((first+i)%(int(high)-int(low)+1)))
		if _, taken := v.taken[at]; !taken {
			v.taken[at] = struct{}{}
			return at, nil
		}
	}
	return netip.AddrPort{}, errNoPort
}

func (v *virtuals) give(at netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.taken, at)
}

// openVirtual opens a relay in the plane.
func (r *relay) openVirtual(addr netip.Addr, port int) error {
	s := r.server
	at, err := s.virtuals.take(addr, s.cfg.LowVirtual, s.cfg.HighVirtual, uint16(port))
	if err != nil {
		return err
	}
	var by net.PacketConn
	if c := r.group.client; c.packets != nil {
		by = c.PacketConn
	}
	if r.PacketConn, err = s.cfg.Plane.PacketConn(at, r.reply, by, r.meter); err != nil {
		s.virtuals.give(at)
		return err
	}
	r.virtual, r.at = true, at
	return nil
}

// meter counts a packet and its payload against the bandwidth; false: it is not to pass.
func (r *relay) meter(in bool, size int) bool {
	s, of := r.server, 0
	if in {
		of = 1
	}
	now := s.clock()
	if !r.limits[of].allow(now, size) || !s.limits[of].allow(now, size) {
		s.count.refuse(RefusedBandwidth)
		return false
	}
	s.count.packets[of].Add(1)
	s.count.bytes[of].Add(uint64(size))
	r.packets.Add(1)
	r.bytes.Add(uint64(size))
	return true
}

// permission tells the plane that the client may hear an address, or not any more: that is for the media's ports there.
func (r *relay) permission(peer netip.Addr, tell func(relay, peer netip.AddrPort, channel uint16)) {
	for _, m := range r.server.policy.Media {
		if m.Seen.Addr() == peer {
			tell(r.at, m.Seen, 0)
		}
	}
}
