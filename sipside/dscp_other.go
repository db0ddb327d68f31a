//go:build !linux

package sipside

import (
	"net/netip"
	"syscall"
)

// mark leaves what is sent as the system marks it.
func mark(syscall.RawConn, netip.Addr, int) {}
