package sipside

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets towards backends are marked: datagrams, connections that come and those that go.
func TestDSCP(t *testing.T) {
	for setting, want := range map[int]int{0: dscpCS3, DSCPNone: 0, 40: 40} {
		loopback := netip.MustParseAddrPort("127.0.0.1:0")
		e, err := Open(Config{DSCP: setting, Listen: []Listen{{Network: "udp", Addr: loopback}, {Network: "tcp", Addr: loopback}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		stranger, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stranger.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		dialled, err := e.dial(ctx, connKey{transport: tcp, addr: stranger.Addr().(*net.TCPAddr).AddrPort()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dialled.Close() })
		udp, listener := e.listeners[0].(*udpListener), e.listeners[1].(*streamListener)
		client, err := net.DialTimeout("tcp", listener.local.String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		if err := listener.listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { accepted.Close() })
		for name, control := range map[string]func(func(uintptr)){
			"UDP": udp.sock.control, "dialled": controlOf(t, dialled), "accepted": controlOf(t, accepted),
		} {
			got := -1
			control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS) })
			if err != nil || got>>2 != want {
				t.Errorf("%s: dscp %d, want %d (%v)", name, got>>2, want, err)
			}
		}
	}
	if err := (Config{DSCP: 64, Listen: []Listen{{Network: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}).Validate(); err == nil {
		t.Error("dscp 64 taken")
	}
}

func controlOf(t *testing.T, sock net.Conn) func(func(uintptr)) {
	t.Helper()
	raw, err := sock.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return func(f func(uintptr)) { _ = raw.Control(f) }
}
