package media

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// newSocket binds one on a free port.
func newSocket(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(home(t), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// allocateSocket opens a client's allocation at a socket of its own.
func allocateSocket(t testing.TB, e *Engine) (*turnClient, *net.UDPConn) {
	t.Helper()
	client, relay := newSocket(t), newSocket(t)
	c := &turnClient{by: e.Clients()[0], channel: testChannel, relay: addrOf(relay), socket: relay}
	c.server = c.by.LocalAddr().(*net.UDPAddr).AddrPort()
	var err error
	if c.conn, err = e.PacketConn(c.relay, addrOf(client), c.by, relay, c.meter); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c, client
}

func expect(t *testing.T, conn *net.UDPConn, from netip.AddrPort, want string) {
	t.Helper()
	b := make([]byte, 2000)
	n, at, err := conn.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != want || at != from {
		t.Fatalf("%q from %v, %v; want %q from %v", b[:max(n, 0)], at, err, want, from)
	}
}

// Peers beside our media are reached by the allocation's socket: by a channel through the workers, whichever of them gets the packets,
// without one by whoever has the allocation.
func TestRelayToOthers(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		e := open(t, withClients, func(c *Config) { c.Workers = workers })
		for range 6 {
			c, client := allocateSocket(t, e)
			peer, stranger := newSocket(t), newSocket(t)
			e.Bind(c.relay, addrOf(peer), addrOf(peer), 0)
			e.Bind(c.relay, addrOf(peer), addrOf(peer), c.channel)
			for range 3 {
				client.WriteToUDPAddrPort(c.wrap([]byte("out")), c.server)
				expect(t, peer, c.relay, "out")
				peer.WriteToUDPAddrPort([]byte("in"), c.relay)
				expect(t, client, c.server, string(c.wrap([]byte("in"))))
			}
			if in, out := c.in.Load(), c.out.Load(); in != 6 || out != 9 {
				t.Errorf("%d bytes metered in, %d out", in, out)
			}
			b := make([]byte, 100)
			stranger.WriteToUDPAddrPort([]byte("who am I"), c.relay)
			if n, from, err := c.conn.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "who am I" || from != addrOf(stranger) {
				t.Fatal(n, from, err)
			}
			c.conn.WriteTo([]byte("a stranger"), stranger.LocalAddr())
			expect(t, stranger, c.relay, "a stranger")
			e.dropsOnce(t, DropPermission, func() {
				e.Unbind(c.relay, addrOf(peer), 0)
				peer.WriteToUDPAddrPort([]byte("unheard"), c.relay)
			})
		}
	}
}

// A channel that is taken back makes place for another; what the table does not have is left to the control plane.
func TestChannelsToOthers(t *testing.T) {
	t.Parallel()
	e := open(t, withClients)
	c, client := allocateSocket(t, e)
	for i := range 3 * maxDetours {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 9)
		e.Bind(c.relay, at, at, uint16(0x4000+i))
		e.Unbind(c.relay, at, uint16(0x4000+i))
	}
	if n := len(c.conn.(*allocation).all()); n != 0 {
		t.Errorf("%d are left", n)
	}
	for _, d := range [][]byte{c.wrap([]byte("x")), c.wrap(nil)} {
		client.WriteToUDPAddrPort(d, c.server)
		b := make([]byte, 100)
		if n, from, err := c.by.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != string(d) || from != addrOf(client) {
			t.Fatal(n, from, err)
		}
	}
	virtual := allocate(t, e, newPeer(t, newLeg(t, e, LegSpec{Profile: sdp.WebRTC}).Local()), 61000)
	e.Bind(virtual.relay, loopback(9), loopback(9), testChannel)
	if n := len(virtual.conn.(*allocation).all()); n != 0 {
		t.Error("a peer is bound to an address without a socket")
	}
}

// The socket closes with the allocation once no worker can use it, and with the engine.
func TestRelaysAreClosed(t *testing.T) {
	e := open(t, withClients, func(c *Config) { c.Workers = 3 })
	var last *turnClient
	for range 20 {
		c, client := allocateSocket(t, e)
		peer := newSocket(t)
		e.Bind(c.relay, addrOf(peer), addrOf(peer), 0)
		e.Bind(c.relay, addrOf(peer), addrOf(peer), c.channel)
		client.WriteToUDPAddrPort(c.wrap([]byte("out")), c.server)
		expect(t, peer, c.relay, "out")
		if last != nil {
			last.conn.Close()
			if _, err := last.conn.WriteToUDPAddrPort([]byte("x"), addrOf(peer)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			waitFor(t, "the address to be free again", func() bool {
				again, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(last.relay))
				if err == nil {
					again.Close()
				}
				return err == nil
			})
		}
		last = c
	}
	e.allocations.mu.Lock()
	sockets := len(e.allocations.sockets)
	e.allocations.mu.Unlock()
	if sockets != 1 {
		t.Errorf("%d sockets are open", sockets)
	}
}

// Packets to and from other peers cost no allocation.
func TestRelayedPacketsAllocateNothing(t *testing.T) {
	b := newBench(t, 7)
	a := b.turned()
	a.fd = -1
	d := a.all()[0]
	far := &detour{allocation: a, peer: loopback(7000), far: endpointAt(loopback(7000))}
	far.farKey = far.far.name.source(0)
	far.channel.Store(testChannel + 1)
	far.permitted.Store(true)
	a.detours.Store(&[]*detour{d, far})
	out := channelData([][]byte{make([]byte, 172)})[0]
	out[1]++
	in, from := make([]byte, 172), sockaddrOf(far.peer)
	if n := testing.AllocsPerRun(1000, func() { b.fromTURN(out) }); n != 0 {
		t.Errorf("%v allocations for a packet of the client", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		b.w.in.next = 0
		d := datagram{data: b.w.in.copyIn(in), from: &from}
		b.w.fromPeer(a, &d, 0)
		b.w.out.count = 0
	}); n != 0 {
		t.Errorf("%v allocations for a packet of the peer", n)
	}
	for reason := range b.w.counters.drops {
		if n := b.w.counters.drops[reason].Load(); n != 0 {
			t.Errorf("%d dropped: %v", n, DropReason(reason))
		}
	}
}
