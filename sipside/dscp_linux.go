package sipside

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark sets the DSCP of what a socket sends (RFC 2474); the connections that a listener accepts have its own. Best effort: a
// machine may forbid it, and messages pass all the same.
func mark(sock syscall.RawConn, local netip.Addr, dscp int) {
	level, option := unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	if local.Unmap().Is4() {
		level, option = unix.IPPROTO_IP, unix.IP_TOS
	}
	_ = sock.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), level, option, dscp<<2) })
}
