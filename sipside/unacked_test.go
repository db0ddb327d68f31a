package sipside

import (
	"context"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection to a backend ends soon where what is sent is not acknowledged.
func TestConnectionsAreBound(t *testing.T) {
	t.Parallel()
	peer := listenStream(t, "127.0.0.1:0")
	d := openDoor(t, trunk(t, "sip:"+peer.at.String()+";transport=tcp"), testLimits())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialled, err := d.dial(ctx, connKey{transport: tcp, addr: peer.at})
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	raw, err := dialled.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	_ = raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) })
	if want := int(testLimits().unacked.Milliseconds()); err != nil || got != want || want == 0 {
		t.Errorf("%d ms, want %d: %v", got, want, err)
	}
}
