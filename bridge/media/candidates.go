package media

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"tandem/bridge/sdp"
)

// hostPriority is RFC 8445 §5.1.2.1 for a host candidate of component 1.
func hostPriority(local int) uint32 { return 126<<24 | uint32(65535-local)<<8 | 255 }

// tcpPriority is the same for a passive TCP candidate, whose direction counts too (RFC 6544 §4.2). The type's preference is
// that of browsers, below every UDP candidate's of theirs: over TCP one lost packet holds up all that follow.
func tcpPriority(local int) uint32 {
	const preference, passive = 90, 4
	return preference<<24 | uint32(passive<<13|(8191-local))<<8 | 255
}

// candidates are ours for one browser: the advertised address, or the one that its WebSocket reached, or the listener's.
func (e *Engine) candidates(reached netip.Addr) []sdp.Candidate {
	var list []sdp.Candidate
	add := func(transport string, listen netip.AddrPort, priority func(int) uint32) {
		for _, addr := range e.hosts(listen.Addr().Unmap(), reached.Unmap()) {
			at := netip.AddrPortFrom(addr, listen.Port())
			if slices.ContainsFunc(list, func(c sdp.Candidate) bool { return c.Transport == transport && c.Addr == at }) {
				continue
			}
			list = append(list, sdp.Candidate{
				Transport: transport, Addr: at, Priority: priority(len(list)), Foundation: strconv.Itoa(len(list) + 1),
			})
		}
	}
	for _, listen := range e.listens {
		add("udp", listen, hostPriority)
	}
	if !e.cfg.TCP {
		return list
	}
	for _, listen := range e.listens {
		add("tcp", listen, tcpPriority)
	}
	for _, listen := range e.cfg.Shared {
		add("tcp", listen, tcpPriority)
		if listen.Addr() == netip.IPv6Unspecified() { // takes IPv4 too
			add("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), listen.Port()), tcpPriority)
		}
	}
	return list
}

// hosts are the addresses under which a listener is known. A browser that reached us by loopback may gather no loopback
// candidate of its own, so it is told the machine's other addresses too.
func (e *Engine) hosts(listen, reached netip.Addr) []netip.Addr {
	same := func(a netip.Addr) bool { return a.IsValid() && a.Is4() == listen.Is4() }
	for _, a := range e.cfg.Advertise {
		if same(a.Unmap()) {
			return []netip.Addr{a.Unmap()}
		}
	}
	if !listen.IsUnspecified() {
		return []netip.Addr{listen}
	}
	if same(reached) && !reached.IsLoopback() {
		return []netip.Addr{reached}
	}
	var list []netip.Addr
	if same(reached) {
		list = append(list, reached)
	}
	for _, a := range interfaceAddrs() {
		if same(a) && a != reached {
			list = append(list, a)
		}
	}
	if len(list) == 0 && listen.Is4() {
		list = append(list, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return list
}

const maxInterfaceAddrs = 4 // a candidate list is to stay short

func interfaceAddrs() []netip.Addr {
	var list []netip.Addr
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, n := range nets {
		p, err := netip.ParsePrefix(n.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() || len(list) == maxInterfaceAddrs {
			continue
		}
		list = append(list, p.Addr().Unmap())
	}
	return list
}
