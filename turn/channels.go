package turn

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
)

// channelLife is how long a binding runs without a refresh (RFC 8656 §12).
const channelLife = 10 * time.Minute

// channel is a binding that pion has granted. Its packets do not go through pion: the client's reader and the relay's hand them on.
type channel struct {
	number uint16
	peer   netip.AddrPort // as the client names it; it was open when the channel was bound, and the policy never changes
	target netip.AddrPort // where that is
	until  atomic.Int64   // Unix nanoseconds
}

func (c *channel) runs(now time.Time) bool { return now.UnixNano() < c.until.Load() }

// bound notes the ChannelBind in hand, which has succeeded.
func (c *client) bound(now time.Time) {
	var peer stun.XORMappedAddress
	number, err := c.message.Get(stun.AttrChannelNumber)
	if err != nil || len(number) < 2 || peer.GetFromAs(&c.message, stun.AttrXORPeerAddress) != nil {
		return
	}
	addr, ok := netip.AddrFromSlice(peer.IP)
	at := netip.AddrPortFrom(plain(addr), uint16(peer.Port))
	target, open := c.server.policy.allows(at)
	if r := c.relays.of(c.from); r != nil && ok && open {
		r.bind(binary.BigEndian.Uint16(number), at, target, now)
	}
}

// bind adds or refreshes a channel; one goroutine calls it, that of the client's reader. What is over makes place.
func (r *relay) bind(number uint16, peer, target netip.AddrPort, now time.Time) {
	var list []*channel
	if old := r.channels.Load(); old != nil {
		list = *old
	}
	for _, one := range list {
		if one.number == number && one.peer == peer {
			one.until.Store(now.Add(channelLife).UnixNano())
			return
		}
	}
	list = slices.DeleteFunc(slices.Clone(list), func(one *channel) bool { return !one.runs(now) || one.number == number || one.peer == peer })
	one := &channel{number: number, peer: peer, target: target}
	one.until.Store(now.Add(channelLife).UnixNano())
	list = append(list, one)
	r.channels.Store(&list)
}

// channel finds one that fits and runs; nil: there is none.
func (r *relay) channel(now time.Time, fits func(*channel) bool) *channel {
	list := r.channels.Load()
	if list == nil {
		return nil
	}
	for _, one := range *list {
		if fits(one) && one.runs(now) {
			return one
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
	now := time.Now()
	one := r.channel(now, func(o *channel) bool { return o.number == number })
	if one == nil {
		return false
	}
	r.send(b[4:4+length], one.target, now) // what the socket does not take is lost, as on any network
	return true
}

// toClient sends a peer's packet on as ChannelData; b has 4 bytes before it, and 3 behind for padding, which streams need.
func (r *relay) toClient(b []byte, n int, one *channel) {
	binary.BigEndian.PutUint16(b, one.number)
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	c := r.group.client
	if c.udp != nil {
		c.udp.WriteToUDPAddrPort(b[:4+n], r.reply)
		return
	}
	end := 4 + (n+3)&^3
	clear(b[4+n : end])
	c.PacketConn.WriteTo(b[:end], nil)
}
