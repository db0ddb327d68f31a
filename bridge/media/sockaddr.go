package media

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr is a struct sockaddr_in or sockaddr_in6 as the kernel reads and writes it.
type sockaddr [unix.SizeofSockaddrInet6]byte

// source is a datagram's far end and the listen address at which it came in, in a form that hashes fast.
type source struct {
	hi, lo uint64
	port   uint16
	listen uint8
}

// localAddr is the address of ours that a datagram came to; known (and needed for the answer) on wildcard sockets only.
type localAddr struct {
	family uint8 // 0, unix.AF_INET, unix.AF_INET6
	addr   [16]byte
}

func (s *sockaddr) family() uint16 { return binary.NativeEndian.Uint16(s[:2]) }

func (s *sockaddr) source(listen uint8) source {
	k := source{port: binary.BigEndian.Uint16(s[2:4]), listen: listen}
	if s.family() == unix.AF_INET {
		k.lo = 0xffff<<32 | uint64(binary.BigEndian.Uint32(s[4:8])) // as the mapped IPv6 address
		return k
	}
	k.hi, k.lo = binary.BigEndian.Uint64(s[8:16]), binary.BigEndian.Uint64(s[16:24])
	return k
}

func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:4])
	switch s.family() {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s[8:24])), port)
	}
	return netip.AddrPort{}
}

func (s *sockaddr) size() uint32 {
	if s.family() == unix.AF_INET {
		return unix.SizeofSockaddrInet4
	}
	return unix.SizeofSockaddrInet6
}

func sockaddrOf(a netip.AddrPort) sockaddr {
	var s sockaddr
	binary.BigEndian.PutUint16(s[2:4], a.Port())
	if addr := a.Addr().Unmap(); addr.Is4() {
		binary.NativeEndian.PutUint16(s[:2], unix.AF_INET)
		b := addr.As4()
		copy(s[4:8], b[:])
		return s
	}
	binary.NativeEndian.PutUint16(s[:2], unix.AF_INET6)
	b := a.Addr().As16()
	copy(s[8:24], b[:])
	return s
}

// endpoint is a far end to which packets are sent. It does not change, for queued packets refer to it: whoever moves gets another.
type endpoint struct {
	name     sockaddr
	nameSize uint32
	control  [unix.SizeofCmsghdr + 24]byte
	size     uint64 // of control; 0: none
}

// endpointOf is the far end of that name. Packets to it leave from local, where that is known: from the address of ours that the
// peer knows (IP_PKTINFO), which on a wildcard socket is not otherwise certain.
func endpointOf(name sockaddr, local localAddr) *endpoint {
	e := &endpoint{name: name, nameSize: name.size()}
	level, kind, length := uint32(unix.IPPROTO_IP), uint32(unix.IP_PKTINFO), unix.SizeofInet4Pktinfo
	switch local.family {
	case unix.AF_INET:
		copy(e.control[unix.SizeofCmsghdr+4:], local.addr[:4]) // ipi_spec_dst
	case unix.AF_INET6:
		level, kind, length = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo
		copy(e.control[unix.SizeofCmsghdr:], local.addr[:])
	default:
		return e
	}
	binary.NativeEndian.PutUint64(e.control[0:8], uint64(unix.SizeofCmsghdr+length))
	binary.NativeEndian.PutUint32(e.control[8:12], level)
	binary.NativeEndian.PutUint32(e.control[12:16], kind)
	e.size = uint64(unix.CmsgSpace(length))
	return e
}

// endpointAt is the far end at an address; nil: there is none.
func endpointAt(a netip.AddrPort) *endpoint {
	if !a.IsValid() {
		return nil
	}
	return endpointOf(sockaddrOf(a), localAddr{})
}

// is says whether the far end has that name; one that is nil has none.
func (e *endpoint) is(name *sockaddr) bool { return e != nil && e.name.source(0) == name.source(0) }

// localAddrOf reads the address from a received control message.
func localAddrOf(control []byte) localAddr {
	var l localAddr
	if len(control) < unix.SizeofCmsghdr {
		return l
	}
	level := binary.NativeEndian.Uint32(control[8:12])
	kind := binary.NativeEndian.Uint32(control[12:16])
	body := control[unix.SizeofCmsghdr:]
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
		l.family = unix.AF_INET
		copy(l.addr[:4], body[8:12]) // ipi_addr: the header's destination
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(body) >= unix.SizeofInet6Pktinfo:
		l.family = unix.AF_INET6
		copy(l.addr[:], body[:16])
	}
	return l
}

func (l localAddr) ip() netip.Addr {
	switch l.family {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(l.addr[:4]))
	case unix.AF_INET6:
		return netip.AddrFrom16(l.addr)
	}
	return netip.Addr{}
}

func localAddrFrom(ip netip.Addr) localAddr {
	var l localAddr
	switch {
	case ip.Is4():
		l.family = unix.AF_INET
		b := ip.As4()
		copy(l.addr[:], b[:])
	case ip.Is6():
		l.family, l.addr = unix.AF_INET6, ip.As16()
	}
	return l
}
