package media

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"tandem/sipside/raw"
)

const (
	sharedReceiveBuffer = 4 << 20
	sharedSendBuffer    = 4 << 20
)

// listenBrowsers binds one socket for each worker to the same address (SO_REUSEPORT) and gives the address.
func listenBrowsers(at netip.AddrPort, count, dscp int) ([]int, netip.AddrPort, error) {
	if at.Port() == 0 {
		var err error
		if at, err = freeAddr(at); err != nil {
			return nil, at, err
		}
	}
	fds := make([]int, 0, count)
	for range count {
		fd, err := udpSocket(at, true, dscp)
		if err != nil {
			closeAll(fds)
			return nil, at, fmt.Errorf("media: listen %s: %w", at, err)
		}
		widen(fd)
		fds = append(fds, fd)
	}
	return fds, at, nil
}

// widen gives a socket that many calls share room for what comes while the worker has no processor: with CAP_NET_ADMIN as much
// as it wants, else as net.core.rmem_max and wmem_max allow, which is some 20 ms of 500 calls by default.
func widen(fd int) {
	for _, o := range [][3]int{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, sharedReceiveBuffer},
		{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sharedSendBuffer},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], o[2]) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], o[2])
		}
	}
}

// freeAddr finds a port that nobody has. Binding port 0 with SO_REUSEPORT could share another engine's.
func freeAddr(at netip.AddrPort) (netip.AddrPort, error) {
	fd, err := udpSocket(at, false, 0)
	if err != nil {
		return at, fmt.Errorf("media: listen %s: %w", at, err)
	}
	defer unix.Close(fd)
	return localAddrPort(fd)
}

// udpSocket opens and binds a non-blocking socket. On a wildcard address it learns where each datagram was sent to.
func udpSocket(at netip.AddrPort, shared bool, dscp int) (int, error) {
	family := unix.AF_INET6
	if at.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := prepareSocket(fd, family, at, shared); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if dscp > 0 {
		_ = mark(fd, family, dscp) // best effort: a machine may forbid it, and packets pass all the same
	}
	return fd, nil
}

// mark sets the DSCP of what a socket sends (RFC 2474).
func mark(fd, family, dscp int) error {
	level, option := unix.IPPROTO_IP, unix.IP_TOS
	if family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	return raw.SetOption(fd, level, option, int32(max(dscp, 0)<<2))
}

func familyOf(a net.Addr) int {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.To4() != nil {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func prepareSocket(fd, family int, at netip.AddrPort, shared bool) error {
	if family == unix.AF_INET6 {
		if err := raw.SetOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if shared {
		if err := raw.SetOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	if at.Addr().IsUnspecified() {
		level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
		if family == unix.AF_INET6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
		}
		if err := raw.SetOption(fd, level, option, 1); err != nil {
			return err
		}
	}
	name := sockaddrOf(at)
	return raw.Bind(fd, &name[0], name.size())
}

func localAddrPort(fd int) (netip.AddrPort, error) {
	switch a, err := unix.Getsockname(fd); a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), nil
	default:
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = raw.Close(fd)
		}
	}
}
