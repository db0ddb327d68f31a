package sipside

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

func newPackets(t *testing.T, addr string) (*packetSocket, netip.AddrPort) {
	t.Helper()
	sock, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	at := sock.LocalAddr().(*net.UDPAddr).AddrPort()
	p, err := newPacketSocket(sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// TestPacketsInOrder sends more than a batch before anything is read, and while the reader waits.
func TestPacketsInOrder(t *testing.T) {
	t.Parallel()
	p, at := newPackets(t, "127.0.0.1:0")
	in := newInbox()
	from, sender := newPackets(t, "127.0.0.1:0")
	const count = 3*batchSize + 1
	send := func(first int) {
		for i := range count {
			if err := from.send(fmt.Appendf(nil, "message %d", first+i), at); err != nil {
				t.Error(err)
			}
		}
	}
	send(0)
	next := 0
	read := func(until int) {
		for next < until {
			n, err := p.receive(in)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				data, by := in.datagram(i)
				if want := fmt.Sprintf("message %d", next); string(data) != want || by != sender {
					t.Fatalf("%q from %s, want %q from %s", data, by, want, sender)
				}
				next++
			}
			p.collect(time.Millisecond)
		}
	}
	read(count)
	go send(count)
	read(2 * count)
}

func TestPacketsWholeAndOfBothFamilies(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		p, at := newPackets(t, addr)
		from, sender := newPackets(t, addr)
		long := bytes.Repeat([]byte("x"), 60000)
		if err := from.send(long, at); err != nil {
			t.Fatal(err)
		}
		in := newInbox()
		if n, err := p.receive(in); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if data, by := in.datagram(0); !bytes.Equal(data, long) || by != sender {
			t.Errorf("%d bytes from %s, want %d from %s", len(data), by, len(long), sender)
		}
	}
}

func TestPacketsAreNotSentToTheOtherFamily(t *testing.T) {
	t.Parallel()
	p, _ := newPackets(t, "127.0.0.1:0")
	if err := p.send([]byte("x"), netip.MustParseAddrPort("[::1]:5060")); err == nil {
		t.Error("sent")
	}
}

// TestClosedPackets closes the socket under one who waits.
func TestClosedPackets(t *testing.T) {
	t.Parallel()
	p, at := newPackets(t, "127.0.0.1:0")
	ended := make(chan error)
	go func() {
		_, err := p.receive(newInbox())
		ended <- err
	}()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the reader ends", ended); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
	if err := p.send([]byte("x"), at); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sending: %v", err)
	}
	if err := p.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing again: %v", err)
	}
	p.collect(time.Hour) // does not wait
}
