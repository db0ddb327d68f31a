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

// Plane switches the packets of relays: what clients exchange with the gateway's own media stays within the process. The media engine
// meets it. Its methods are safe for concurrent use.
type Plane interface {
	// PacketConn opens a relayed address for the client at an address. by is the Listen.Conn by which the client's packets come: then
	// the plane takes its ChannelData and sends what is for it; nil: its packets are written to what is returned, and what is for it
	// comes out of there. socket has the address, and is the plane's if there is no error; packets of peers without a channel come out
	// of what is returned, and are not metered; nil: no socket has it. meter is asked for each packet that the plane passes,
	// in to the client or out; false drops it. Close ends all.
	PacketConn(relay, client netip.AddrPort, by net.PacketConn, socket *net.UDPConn, meter func(in bool, size int) bool) (PacketConn, error)
	// Bind lets packets pass between a relayed address and a peer: by a channel, or, with channel 0, by a permission. far is where
	// the peer is, where the address has a socket; the zero AddrPort: it is a media port.
	Bind(relay, peer, far netip.AddrPort, channel uint16)
	// Unbind takes that back.
	Unbind(relay, peer netip.AddrPort, channel uint16)
}

// virtuals are the relayed addresses of the plane: names that no socket has.
type virtuals struct {
	mu    sync.Mutex // guards what follows
	taken map[netip.AddrPort]struct{}
}

var errNoPort = errors.New("turn: no relayed address is left")

// take gives an address with a free port out of some; port 0 is any of them, another is that one or an error.
func (v *virtuals) take(addr netip.Addr, of []Ports, port uint16) (netip.AddrPort, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	count := 0
	for _, p := range of {
		count += int(p.High) - int(p.Low) + 1
	}
	first := rand.IntN(count)
	for i := range count {
		at := netip.AddrPortFrom(addr, numbered(of, (first+i)%count))
		if _, taken := v.taken[at]; !taken && (port == 0 || at.Port() == port) {
			v.taken[at] = struct{}{}
			return at, nil
		}
	}
	return netip.AddrPort{}, errNoPort
}

// numbered is the n-th of some ports.
func numbered(of []Ports, n int) uint16 {
	for _, p := range of {
		if size := int(p.High) - int(p.Low) + 1; n >= size {
			n -= size
			continue
		}
		return p.Low + uint16(n)
	}
	return 0
}

func (v *virtuals) give(at netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.taken, at)
}

// open opens the relay's address on a port, 0 for any: a socket of its own where there is no plane, or where peers are open beside the
// media and the client comes by a connection; else in the plane, with a socket only where peers are open beside the media.
func (r *relay) open(network string, at Address, port int) error {
	s, c := r.server, r.group.client
	seen := at.Advertise
	if !seen.IsValid() {
		seen = at.Listen
	}
	var socket *net.UDPConn
	var err error
	if s.cfg.Plane == nil || len(s.policy.Allow) > 0 {
		if socket, err = s.bind(network, at.Listen, port); err != nil {
			return err
		}
		r.at = netip.AddrPortFrom(seen, addrPortOf(socket.LocalAddr()).Port())
		r.vets, r.PacketConn = true, socket
		if s.cfg.Plane == nil || c.packets == nil || r.user == "" { // pion only looks for a port that is free
			return nil
		}
	} else if r.at, err = s.virtuals.take(seen, s.cfg.Virtual, uint16(port)); err != nil {
		return err
	}
	var by net.PacketConn
	if c.packets != nil {
		by = c.PacketConn
	}
	conn, err := s.cfg.Plane.PacketConn(r.at, r.reply, by, socket, r.meter)
	if err != nil {
		if socket != nil {
			return errors.Join(err, socket.Close())
		}
		s.virtuals.give(r.at)
		return err
	}
	r.PacketConn, r.planned = conn, true
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

// permission tells the plane that the client may hear an address, or not any more: that is for the media's ports there, and for peers
// with a channel.
func (r *relay) permission(peer netip.Addr, begins bool) {
	if !r.planned {
		return
	}
	tell := func(at netip.AddrPort) {
		if begins {
			r.server.cfg.Plane.Bind(r.at, at, r.server.policy.far(at), 0)
			return
		}
		r.server.cfg.Plane.Unbind(r.at, at, 0)
	}
	for _, m := range r.server.policy.Media {
		if m.Seen.Addr() == peer {
			tell(m.Seen)
		}
	}
	for _, one := range r.bound() {
		if one.peer.Addr() == peer && r.server.policy.far(one.peer).IsValid() {
			tell(one.peer)
		}
	}
}
