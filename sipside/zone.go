package sipside

import (
	"net"
	"net/netip"
	"strconv"
)

// byIndex writes the zone of a link-local address as its link's number (RFC 4007 §11.2): a name has to be looked up for each datagram.
// A link that is not there keeps its name.
func byIndex(a netip.AddrPort) netip.AddrPort {
	index := link(a.Addr().Zone())
	if index == 0 {
		return a
	}
	return netip.AddrPortFrom(a.Addr().WithZone(strconv.Itoa(index)), a.Port())
}

// link is a zone's number; 0 where there is none.
func link(zone string) int {
	if zone == "" {
		return 0
	}
	if index, err := strconv.ParseUint(zone, 10, 31); err == nil {
		return int(index)
	}
	found, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return found.Index
}
