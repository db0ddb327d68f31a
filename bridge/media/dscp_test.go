package media

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Packets carry the DSCP that is configured, of both families, and on a connection too.
func TestDSCP(t *testing.T) {
	for setting, want := range map[int]int{0: 46, DSCPNone: 0, 34: 34} {
		for _, at := range []string{"127.0.0.1", "::1"} {
			t.Run(fmt.Sprintf("%d on %s", setting, at), func(t *testing.T) {
				addr := netip.MustParseAddr(at)
				cfg, err := Config{DSCP: setting}.withDefaults()
				if err != nil {
					t.Fatal(err)
				}
				p := newPorts(RTPConfig{Address: addr, Advertise: addr}, 0, cfg.DSCP)
				pair, err := p.take()
				if err != nil {
					t.Fatal(err)
				}
				defer p.release(pair)
				shared, _, err := listenBrowsers(netip.AddrPortFrom(addr, 0), 1, cfg.DSCP)
				if err != nil {
					t.Fatal(err)
				}
				defer closeAll(shared)
				for _, fd := range []int{pair.rtp, pair.rtcp, shared[0]} {
					if got := markOf(t, fd, addr); got != want {
						t.Errorf("a packet with DSCP %d, want %d", got, want)
					}
				}
			})
		}
	}
}

// markOf sends a packet by a socket and gives the DSCP with which it came.
func markOf(t *testing.T, fd int, at netip.Addr) int {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		if at.Is4() {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(addrOf(conn).Port()), Addr: at.As16()}
	if at.Is4() {
		to = &unix.SockaddrInet4{Port: int(addrOf(conn).Port()), Addr: at.As4()}
	}
	if err := unix.Sendto(fd, []byte("marked"), 0, to); err != nil {
		t.Fatal(err)
	}
	b, control := make([]byte, 16), make([]byte, 64)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, n, _, _, err := conn.ReadMsgUDPAddrPort(b, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		t.Fatal(err, messages)
	}
	return int(messages[0].Data[0]) >> 2
}

func TestDSCPIsChecked(t *testing.T) {
	for _, bad := range []int{64, -2} {
		if _, err := Open(Config{DSCP: bad}); err == nil {
			t.Errorf("dscp %d taken", bad)
		}
	}
}
