package media

import (
	"net"
	"net/netip"
	"strconv"

	"tandem/bridge/sdp"
)

// hostPriority is RFC 8445 §5.1.2.1 for a host candidate of component 1.
func hostPriority(local int) uint32 { return 126<<24 | uint32(65535-local)<<8 | 255 }

// candidates are ours for one browser: the advertised address, or the one that its WebSocket reached, or the listener's.
func (e *Engine) candidates(reached netip.Addr) []sdp.Candidate {
	var list []sdp.Candidate
	for _, listen := range e.listens {
		for _, addr := range e.hosts(listen.Addr().Unmap(), reached.Unmap()) {
			list = append(list, sdp.Candidate{
				Transport:  "udp",
				Addr:       netip.AddrPortFrom(addr, listen.Port()),
				Priority:   hostPriority(len(list)),
				Foundation: strconv.Itoa(len(list) + 1),
			})
		}
	}
	return list
}

// hosts are the addresses under which a listener is known. A browser that reached us by loopback may gather no loopback
// candidate of its own, so it is told the machine's other addresses too.
func (e *Engine) hosts(listen, reached netip.Addr) []netip.Addr {
	same := func(a netip.Addr) bool { return a.IsValid() && a.Is4() == listen.Is4() }
	if a := e.cfg.Advertise.Unmap(); same(a) {
		return []netip.Addr{a}
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
