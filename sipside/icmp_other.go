//go:build !linux

package sipside

import (
	"net"
	"net/netip"
)

// watchICMP is for Linux; elsewhere a peer whose process is gone is known by a timeout.
func watchICMP(*net.UDPConn) error { return nil }

func unreachable(*packetSocket) []netip.AddrPort { return nil }
