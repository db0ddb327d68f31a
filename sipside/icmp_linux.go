package sipside

import (
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watchICMP has the kernel queue ICMP errors of a UDP socket, so that a peer whose process is gone is known at once and
// not after a timeout (RFC 3261 §18.4).
func watchICMP(sock *net.UDPConn) error {
	raw, err := sock.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		level, option := unix.SOL_IP, unix.IP_RECVERR
		if sock.LocalAddr().(*net.UDPAddr).IP.To4() == nil {
			level, option = unix.SOL_IPV6, unix.IPV6_RECVERR
		}
		failed = unix.SetsockoptInt(int(fd), level, option, 1)
	}); err != nil {
		return err
	}
	return failed
}

// unreachable takes the queued ICMP errors and gives the destinations that they declare unreachable.
func unreachable(sock *packetSocket) (found []netip.AddrPort) {
	sock.control(func(fd uintptr) {
		control := make([]byte, 512)
		for {
			_, n, _, to, err := unix.Recvmsg(int(fd), nil, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			if declaresUnreachable(control[:n]) {
				found = append(found, addrPort(to))
			}
		}
	})
	return found
}

// declaresUnreachable is true for host, network, port and protocol unreachable; a packet too big will be fragmented when
// it is sent again.
func declaresUnreachable(control []byte) bool {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for _, m := range messages {
		if len(m.Data) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			continue
		}
		ext := (*unix.SockExtendedErr)(unsafe.Pointer(&m.Data[0]))
		if ext.Origin != unix.SO_EE_ORIGIN_ICMP && ext.Origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		switch syscall.Errno(ext.Errno) {
		case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EACCES:
			return true
		}
	}
	return false
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
