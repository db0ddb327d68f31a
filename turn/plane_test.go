package turn

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
)

// memory is a PacketConn of packets in the process, so that a test's time may be its own.
type memory struct {
	at      netip.AddrPort
	in, out chan parcel
	done    chan struct{}
	once    sync.Once
}

type parcel struct {
	data []byte
	at   netip.AddrPort // where it is from, or for
}

func newMemory(at string) *memory {
	return &memory{at: netip.MustParseAddrPort(at), in: make(chan parcel, 100), out: make(chan parcel, 100), done: make(chan struct{})}
}

func (m *memory) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-m.in:
		return copy(b, p.data), p.at, nil
	case <-m.done:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (m *memory) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	m.out <- parcel{slices.Clone(b), to}
	return len(b), nil
}

func (m *memory) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := m.ReadFromUDPAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (m *memory) WriteTo(b []byte, to net.Addr) (int, error) {
	return m.WriteToUDPAddrPort(b, addrPortOf(to))
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

func (m *memory) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(m.at) }
func (m *memory) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (m *memory) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (m *memory) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// testPlane notes what a server does with it.
type testPlane struct {
	mu    sync.Mutex
	notes []string
	conns map[netip.AddrPort]*memory
	meter func(in bool, size int) bool // the last one's
	by    net.PacketConn
	full  bool
}

func newTestPlane() *testPlane { return &testPlane{conns: map[netip.AddrPort]*memory{}} }

func (p *testPlane) PacketConn(relay, client netip.AddrPort, by net.PacketConn, _ *net.UDPConn, meter func(in bool, size int) bool) (PacketConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return nil, os.ErrExist
	}
	p.meter, p.by = meter, by
	p.conns[relay] = newMemory(relay.String())
	return p.conns[relay], nil
}

func (p *testPlane) Bind(_, peer, far netip.AddrPort, channel uint16) {
	if far.IsValid() {
		p.note(fmt.Sprintf("far %s", far))
	}
	p.note(fmt.Sprintf("bind %s %#x", peer, channel))
}

func (p *testPlane) Unbind(_, peer netip.AddrPort, channel uint16) {
	p.note(fmt.Sprintf("unbind %s %#x", peer, channel))
}

func (p *testPlane) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, text)
}

// told gives what was noted since the last time.
func (p *testPlane) told() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.notes)
	text := strings.Join(p.notes, ", ")
	p.notes = nil
	return text
}

const mediaSeen = "192.0.2.1:40000"

// openPlane starts a server whose only way in and out is memory.
func openPlane(t *testing.T) (*Server, *testPlane, *talker) {
	t.Helper()
	in := newMemory("192.0.2.1:3478")
	plane := newTestPlane()
	s := open(t, func(c *Config) {
		c.Listen = []Listen{{Network: "udp", Conn: in}}
		c.Plane, c.Peers.Media = plane, []Media{same(mediaSeen)}
		c.Relay = []Address{{Listen: netip.MustParseAddr("10.0.0.1"), Advertise: netip.MustParseAddr("192.0.2.1")}}
	})
	talker := &talker{t: t, conn: &memoryClient{in}, to: in.LocalAddr(), nonce: stun.NewNonce("nobody's"), password: "wonder"}
	return s, plane, talker
}

// memoryClient is the far end of a memory.
type memoryClient struct{ *memory }

var memoryClientAddr = netip.MustParseAddrPort("198.51.100.1:50000")

func (m *memoryClient) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-m.out:
		return copy(b, p.data), m.LocalAddr(), nil
	case <-time.After(30 * time.Second):
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (m *memoryClient) WriteTo(b []byte, _ net.Addr) (int, error) {
	m.in <- parcel{slices.Clone(b), memoryClientAddr}
	return len(b), nil
}

func (m *memoryClient) SetDeadline(time.Time) error { return nil }

func peerAt(text string) *peerAddress {
	at := peerAddress(*net.UDPAddrFromAddrPort(netip.MustParseAddrPort(text)))
	return &at
}

func channelNumber(n byte) stun.Setter { return attribute(stun.AttrChannelNumber, 0x40, n, 0, 0) }

// The plane is told of each permission and channel when it begins and when its time is over, and of nothing that is not media.
func TestPlaneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, plane, c := openPlane(t)
		defer s.Close()
		c.ask(stun.MethodAllocate, udpTransport)
		answer, code := c.ask(stun.MethodAllocate, udpTransport)
		var relayed stun.XORMappedAddress
		if code != 0 || relayed.GetFromAs(answer, stun.AttrXORRelayedAddress) != nil {
			t.Fatal(code)
		}
		if !relayed.IP.Equal(net.IPv4(192, 0, 2, 1)) || !slices.ContainsFunc(VirtualPorts(), func(p Ports) bool { return relayed.Port >= int(p.Low) && relayed.Port <= int(p.High) }) || plane.by != s.servedConn(t) {
			t.Errorf("relayed address %v", relayed)
		}
		expect := func(after time.Duration, want string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := plane.told(); got != want {
				t.Errorf("after %v: %q, want %q", after, got, want)
			}
		}
		ask := func(method stun.Method, want stun.ErrorCode, attributes ...stun.Setter) {
			t.Helper()
			if _, code := c.ask(method, attributes...); code != want {
				t.Errorf("%v: %d", method, code)
			}
		}
		ask(stun.MethodCreatePermission, 0, peerAt("192.0.2.1:9"))
		expect(0, "bind 192.0.2.1:40000 0x0")
		ask(stun.MethodCreatePermission, stun.CodeForbidden, peerAt("192.0.2.2:40000"))
		ask(stun.MethodChannelBind, stun.CodeForbidden, channelNumber(9), peerAt("192.0.2.1:5060"))
		expect(0, "")
		ask(stun.MethodChannelBind, 0, channelNumber(1), peerAt(mediaSeen))
		expect(0, "bind 192.0.2.1:40000 0x0, bind 192.0.2.1:40000 0x4001")
		expect(4*time.Minute, "")
		ask(stun.MethodRefresh, 0)
		ask(stun.MethodChannelBind, 0, channelNumber(1), peerAt(mediaSeen)) // refreshes both
		expect(5*time.Minute-time.Second, "")
		expect(2*time.Second, "unbind 192.0.2.1:40000 0x0")
		ask(stun.MethodRefresh, 0)
		expect(5*time.Minute, "unbind 192.0.2.1:40000 0x4001")
		ask(stun.MethodChannelBind, 0, channelNumber(2), peerAt(mediaSeen))
		expect(0, "bind 192.0.2.1:40000 0x0, bind 192.0.2.1:40000 0x0, bind 192.0.2.1:40000 0x4002")
		ask(stun.MethodRefresh, 0, attribute(stun.AttrLifetime, 0, 0, 0, 0))
		expect(0, "unbind 192.0.2.1:40000 0x0, unbind 192.0.2.1:40000 0x4002")
		if got := s.Stats(); got.Allocations != 0 || len(s.virtuals.taken) != 0 {
			t.Errorf("%+v, %d addresses taken", got, len(s.virtuals.taken))
		}
	})
}

// servedConn is what the server's UDP clients come by.
func (s *Server) servedConn(t *testing.T) net.PacketConn {
	t.Helper()
	return s.cfg.Listen[0].Conn
}

// A nonce is good for an hour (RFC 8656 §5); then a fresh one comes with 438, and the allocation goes on.
func TestNoncesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := openPlane(t)
		defer s.Close()
		c.ask(stun.MethodAllocate, udpTransport)
		ask := func(method stun.Method, want stun.ErrorCode, attributes ...stun.Setter) {
			t.Helper()
			if _, code := c.ask(method, attributes...); code != want {
				t.Errorf("%v: %d, want %d", method, code, want)
			}
		}
		ask(stun.MethodAllocate, 0, udpTransport)
		for range 6 {
			time.Sleep(9*time.Minute + 50*time.Second)
			ask(stun.MethodRefresh, 0)
		}
		time.Sleep(2*time.Minute + time.Second)
		ask(stun.MethodRefresh, stun.CodeStaleNonce)
		ask(stun.MethodRefresh, 0)
		if got := s.Stats(); got.Allocations != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// Requests about an allocation that is not there are answered by 437, about another user's by 441.
func TestMismatches(t *testing.T) {
	t.Parallel()
	s, plane, c := openPlane(t)
	c.ask(stun.MethodAllocate, udpTransport)
	for _, method := range []stun.Method{stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind} {
		answer, code := c.ask(method, channelNumber(1), peerAt(mediaSeen))
		if code != stun.CodeAllocMismatch || stun.MessageIntegrity(pion.GenerateAuthKey("alice", "tandem", "wonder")).Check(answer) != nil {
			t.Errorf("%v: %d", method, code)
		}
	}
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Fatal(code)
	}
	s.relayOf(memoryClientAddr).user = "bob"
	if _, code := c.ask(stun.MethodRefresh); code != stun.CodeWrongCredentials {
		t.Errorf("another user's: %d", code)
	}
	if got := s.Stats().Refused[RefusedMismatch]; got != 4 {
		t.Errorf("%d counted", got)
	}
	plane.mu.Lock()
	plane.full = true
	plane.mu.Unlock()
	s.relayOf(memoryClientAddr).user = "alice"
	c.ask(stun.MethodRefresh, attribute(stun.AttrLifetime, 0, 0, 0, 0))
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != stun.CodeInsufficientCapacity {
		t.Errorf("a plane without room: %d", code)
	}
	if len(s.virtuals.taken) != 0 || s.Stats().Allocations != 0 {
		t.Errorf("%d addresses taken, %+v", len(s.virtuals.taken), s.Stats())
	}
}

// relayOf is a client's relay.
func (s *Server) relayOf(client netip.AddrPort) *relay {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.relays {
		if r.from == client {
			return r
		}
	}
	return nil
}

// What the plane passes counts against the quota, for the allocation and in total, and for its user.
func TestPlaneIsMetered(t *testing.T) {
	t.Parallel()
	s, plane, c := openPlane(t)
	c.ask(stun.MethodAllocate, udpTransport)
	if _, code := c.ask(stun.MethodAllocate, udpTransport); code != 0 {
		t.Fatal(code)
	}
	for range 1000 { // 1 MB, where 1 MB a second is allowed and a quarter of it at once
		plane.meter(true, 1000)
		plane.meter(false, 1000)
	}
	got, user := s.Stats(), s.Users()["alice"]
	if got.PacketsIn < 240 || got.PacketsIn > 900 || got.BytesOut != 1000*got.PacketsOut || got.Refused[RefusedBandwidth] != 2000-got.PacketsIn-got.PacketsOut {
		t.Errorf("%+v", got)
	}
	if user.Packets != got.PacketsIn+got.PacketsOut || user.Bytes != got.BytesIn+got.BytesOut {
		t.Errorf("%+v", user)
	}
}

// Every port of each range is given once, and a wanted one if it is free.
func TestVirtualPorts(t *testing.T) {
	t.Parallel()
	v := virtuals{taken: make(map[netip.AddrPort]struct{})}
	addr := netip.MustParseAddr("192.0.2.1")
	of := []Ports{{61000, 61002}, {30000, 30001}}
	if at, err := v.take(addr, of, 30001); err != nil || at.Port() != 30001 {
		t.Fatal(at, err)
	}
	for _, port := range []uint16{30001, 30002, 1} {
		if at, err := v.take(addr, of, port); err == nil {
			t.Errorf("%d is given: %v", port, at)
		}
	}
	seen := map[uint16]bool{30001: true}
	for range 4 {
		at, err := v.take(addr, of, 0)
		if err != nil || seen[at.Port()] {
			t.Fatal(at, err)
		}
		seen[at.Port()] = true
	}
	if at, err := v.take(addr, of, 0); err == nil || len(seen) != 5 {
		t.Errorf("a sixth: %v; %v", at, seen)
	}
	v.give(netip.AddrPortFrom(addr, 30000))
	if at, err := v.take(addr, of, 0); err != nil || at.Port() != 30000 {
		t.Error(at, err)
	}
	if at, err := v.take(addr, VirtualPorts(), 65535); err != nil || at.Port() != 65535 {
		t.Error(at, err)
	}
}
