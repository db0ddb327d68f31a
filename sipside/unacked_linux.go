package sipside

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bound ends a connection whose peer acknowledges nothing for so long (TCP_USER_TIMEOUT, RFC 5482). The kernel alone would try for a quarter of an hour, ever more rarely, and a peer that was cut off for
// a minute would be found back another minute later. Best effort.
func bound(sock syscall.RawConn, unacknowledged time.Duration) {
	_ = sock.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged/time.Millisecond))
	})
}
