package turn

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	pion "github.com/pion/turn/v5"
)

// channel is a binding that pion has granted. Its packets do not go through pion: the client's reader and the relay's hand them on,
// or the plane's workers. It is there until pion takes it back.
type channel struct {
	number uint16
	peer   netip.AddrPort // as the client names it; it was open when the channel was bound, and the policy never changes
	target netip.AddrPort // where that is
}

// events are how pion tells of bindings and permissions that it grants, and of those whose time is over.
func (c *client) events() pion.EventHandler {
	return pion.EventHandler{
		OnChannelCreated: func(from, _ net.Addr, _, _, _ string, _, peer net.Addr, number uint16) {
			if r := c.relays.of(addrPortOf(from)); r != nil {
				r.bind(number, addrPortOf(peer))
			}
		},
		OnChannelDeleted: func(from, _ net.Addr, _, _, _ string, _, peer net.Addr, number uint16) {
			if r := c.relays.of(addrPortOf(from)); r != nil {
				r.unbind(number, addrPortOf(peer))
			}
		},
		OnPermissionCreated: func(from, _ net.Addr, _, _, _ string, _ net.Addr, peer net.IP) {
			if r := c.relays.of(addrPortOf(from)); r != nil {
				r.permission(addrOf(peer), true)
			}
		},
		OnPermissionDeleted: func(from, _ net.Addr, _, _, _ string, _ net.Addr, peer net.IP) {
			if r := c.relays.of(addrPortOf(from)); r != nil {
				r.permission(addrOf(peer), false)
			}
		},
	}
}

// bind adds a channel to a peer that is open.
func (r *relay) bind(number uint16, peer netip.AddrPort) {
	target, open := r.server.policy.allows(peer)
	if !open {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := append(slices.Clone(r.bound()), channel{number: number, peer: peer, target: target})
	r.channels.Store(&list)
	if r.planned {
		far := r.server.policy.far(peer)
		r.server.cfg.Plane.Bind(r.at, peer, far, 0) // a channel is a permission, too
		r.server.cfg.Plane.Bind(r.at, peer, far, number)
	}
}

func (r *relay) unbind(number uint16, peer netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(r.bound()), func(c channel) bool { return c.number == number })
	r.channels.Store(&list)
	if r.planned {
		r.server.cfg.Plane.Unbind(r.at, peer, number)
	}
}

// bound is an immutable list.
func (r *relay) bound() []channel {
	if list := r.channels.Load(); list != nil {
		return *list
	}
	return nil
}

// byNumber finds a channel; nil: it is not bound.
func (r *relay) byNumber(number uint16) *channel {
	list := r.bound()
	for i := range list {
		if list[i].number == number {
			return &list[i]
		}
	}
	return nil
}

func (r *relay) byPeer(peer netip.AddrPort) *channel {
	list := r.bound()
	for i := range list {
		if list[i].peer == peer {
			return &list[i]
		}
	}
	return nil
}

// toPeer sends ChannelData of a client on; false: pion has to look at it.
func (c *client) toPeer(b []byte, from netip.AddrPort) bool {
	if len(b) < 4 || b[0] < 64 {
		return false
	}
	number, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	r := c.relays.of(from)
	if r == nil || length > len(b)-4 {
		return false
	}
	one := r.byNumber(number)
	if one == nil {
		return false
	}
	r.send(b[4:4+length], one.peer, one.target) // what the socket does not take is lost, as on any network
	return true
}

// toClient sends a peer's packet on as ChannelData; b has 4 bytes before it, and 3 behind for padding, which streams need.
func (r *relay) toClient(b []byte, n int, one *channel) {
	binary.BigEndian.PutUint16(b, one.number)
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	c := r.group.client
	if c.packets != nil {
		c.packets.WriteToUDPAddrPort(b[:4+n], r.reply)
		return
	}
	end := 4 + (n+3)&^3
	clear(b[4+n : end])
	c.PacketConn.WriteTo(b[:end], nil)
}
