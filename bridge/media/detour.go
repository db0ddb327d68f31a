package media

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

const (
	detourListen = 0xfe // in a flow's key: the detour's number stands for its address
	maxDetours   = 16   // of one allocation: media ports and channels to others that its client may have
)

// detour is the way from an allocation's address to one of our media ports and back, or to another peer to which there is a channel.
// Whoever uses it looks at nothing but this.
type detour struct {
	// static after construction
	allocation *allocation
	peer       netip.AddrPort // as the client names it
	key        source
	far        *endpoint // another peer's; nil: it is our port
	farKey     source

	// any goroutine
	channel   atomic.Uint32 // 0: none
	permitted atomic.Bool
}

// Bind lets packets pass between a relayed address and a peer, as its client names it: by a channel (RFC 8656 §12), or, with channel 0,
// by a permission (§9), without which nothing goes to the client. far is where the peer is, for an allocation with a socket; the zero
// AddrPort: it is a media port of ours; what is none is not bound.
func (e *Engine) Bind(relay, peer, far netip.AddrPort, channel uint16) {
	e.allocations.mu.Lock()
	defer e.allocations.mu.Unlock()
	a := e.allocations.at[relay]
	if a == nil || far.IsValid() && (a.fd < 0 || a.port == nil) || !far.IsValid() && !e.hears(peer) {
		return
	}
	d := a.detourTo(peer)
	if d == nil {
		if len(a.all()) == maxDetours {
			return
		}
		e.allocations.number++
		d = &detour{allocation: a, peer: peer, key: source{hi: e.allocations.number, listen: detourListen}}
		if d.far = endpointAt(far); d.far != nil {
			d.farKey = d.far.name.source(0)
		}
		list := append(slices.Clone(a.all()), d)
		a.detours.Store(&list)
	}
	if channel == 0 {
		d.permitted.Store(true)
		return
	}
	d.channel.Store(uint32(channel))
}

// Unbind takes a channel, or with channel 0 a permission, back.
func (e *Engine) Unbind(relay, peer netip.AddrPort, channel uint16) {
	e.allocations.mu.Lock()
	defer e.allocations.mu.Unlock()
	a := e.allocations.at[relay]
	if a == nil {
		return
	}
	switch d := a.detourTo(peer); {
	case d == nil:
	case channel == 0:
		d.permitted.Store(false)
	case d.channel.CompareAndSwap(uint32(channel), 0) && d.far != nil: // it makes place
		list := slices.DeleteFunc(slices.Clone(a.all()), func(other *detour) bool { return other == d })
		a.detours.Store(&list)
	}
}

// hears says whether an address has the port of a media listener of its family. That it is ours, too, whoever calls Bind knows: we may
// be seen by another address.
func (e *Engine) hears(peer netip.AddrPort) bool {
	return slices.ContainsFunc(e.listens, func(l netip.AddrPort) bool {
		return l.Port() == peer.Port() && l.Addr().Unmap().Is4() == peer.Addr().Is4()
	})
}

func (a *allocation) all() []*detour {
	if list := a.detours.Load(); list != nil {
		return *list
	}
	return nil
}

func (a *allocation) detourTo(peer netip.AddrPort) *detour {
	for _, d := range a.all() {
		if d.peer == peer {
			return d
		}
	}
	return nil
}

// byChannel finds the detour of a channel; nil: it is not bound.
func (a *allocation) byChannel(number uint16) *detour {
	for _, d := range a.all() {
		if d.channel.Load() == uint32(number) {
			return d
		}
	}
	return nil
}
