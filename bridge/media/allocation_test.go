package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tandem/bridge/sdp"
)

const testChannel = 0x4001

// turnClient stands between a test's peer and the gateway: what the peer sends leaves as ChannelData.
type turnClient struct {
	server      netip.AddrPort
	channel     uint16
	relay       netip.AddrPort
	conn        PacketConn // the gateway's end
	by          PacketConn
	socket      *net.UDPConn  // the relay's; nil: none
	in, out     atomic.Uint64 // bytes that were metered
	shut        atomic.Bool   // the meter lets nothing pass
	indications atomic.Uint64 // packets that came by Data indications
	channels    atomic.Uint64 // and by the channel
}

func withClients(c *Config) { c.Clients = []netip.AddrPort{netip.AddrPortFrom(c.RTP.Address, 0)} }

func (c *turnClient) wrap(d []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, c.channel)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(d))), d...)
}

func (c *turnClient) unwrap(d []byte) []byte {
	if d[0] >= 64 && d[0] < 80 {
		if n := int(binary.BigEndian.Uint16(d[2:])); binary.BigEndian.Uint16(d) == c.channel && n == len(d)-4 {
			c.channels.Add(1)
			return d[4:]
		}
		return []byte{0}
	}
	m := &stun.Message{Raw: d}
	if m.Decode() != nil || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
		return d
	}
	c.indications.Add(1)
	data, _ := m.Get(stun.AttrData)
	return data
}

func (c *turnClient) meter(in bool, size int) bool {
	if in {
		c.in.Add(uint64(size))
	} else {
		c.out.Add(uint64(size))
	}
	return !c.shut.Load()
}

// allocate does what the control plane does at an Allocate request of the peer's.
func allocate(t testing.TB, e *Engine, p *peer, port uint16) *turnClient {
	t.Helper()
	by := e.Clients()[0]
	c := &turnClient{server: by.LocalAddr().(*net.UDPAddr).AddrPort(), channel: testChannel, relay: loopback(port), by: by}
	request := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest))
	if _, err := p.conn.WriteToUDPAddrPort(request.Raw, c.server); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, from, err := by.ReadFromUDPAddrPort(b)
	if err != nil || !bytes.Equal(b[:n], request.Raw) || from != addrOf(p.conn) {
		t.Fatal(n, from, err)
	}
	if c.conn, err = e.PacketConn(c.relay, from, by, c.socket, c.meter); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	p.turn = c
	return c
}

// bound lets the peer and the media port talk by the channel.
func (c *turnClient) bound(e *Engine, to netip.AddrPort) {
	e.Bind(c.relay, to, netip.AddrPort{}, 0)
	e.Bind(c.relay, to, netip.AddrPort{}, c.channel)
}

// A call whose browser comes by TURN passes within the workers, whichever of their sockets its packets hit.
func TestAllocation(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		e := open(t, withClients, func(c *Config) { c.Workers = workers })
		for i := range 6 {
			var c *turnClient
			call := newCall(t, e, func(p *peer) {
				c = allocate(t, e, p, uint16(61000+i))
				c.bound(e, p.to)
			})
			for range 20 {
				call.bothWays(t)
			}
			if got := call.a.Stats(); got.Remote != c.relay || got.PacketsIn != 20 {
				t.Errorf("%+v", got)
			}
			if c.indications.Load() != 0 || c.channels.Load() == 0 || c.in.Load() == 0 || c.out.Load() == 0 {
				t.Errorf("%d indications, %d by the channel, %d bytes in, %d out", c.indications.Load(), c.channels.Load(), c.in.Load(), c.out.Load())
			}
		}
		if got := e.Stats(); got.Allocations != 6 || got.DetouredIn < 120 || got.DetouredOut < 120 {
			t.Errorf("%+v", got)
		}
	}
}

// drops waits until a reason was counted once more than before.
func (e *Engine) dropsOnce(t *testing.T, reason DropReason, act func()) {
	t.Helper()
	before := e.Stats().Drops[reason.String()]
	act()
	waitFor(t, reason.String(), func() bool { return e.Stats().Drops[reason.String()] > before })
}

// Channels, permissions, the meter and the end of the allocation are obeyed packet by packet.
func TestWhatMayNotPass(t *testing.T) {
	t.Parallel()
	e := open(t, withClients, func(c *Config) { c.Workers = 1 })
	var c *turnClient
	call := newCall(t, e, func(p *peer) {
		c = allocate(t, e, p, 61000)
		c.bound(e, p.to)
	})
	call.bothWays(t)
	speak := func() { call.browser.sendRTP(call.browser.next(111, "x")) }
	answer := func() { call.phone.sendRTP(107, "x") }

	c.shut.Store(true)
	e.dropsOnce(t, DropMeter, speak)
	e.dropsOnce(t, DropMeter, answer)
	c.shut.Store(false)
	e.Unbind(c.relay, call.browser.to, testChannel+1) // another's
	call.bothWays(t)
	e.Unbind(c.relay, call.browser.to, testChannel)
	e.dropsOnce(t, DropChannel, speak)
	before := c.indications.Load()
	call.phone.sendRTP(107, "by an indication")
	if got := call.browser.receiveRTP(); string(got.Payload) != "by an indication" || c.indications.Load() != before+1 {
		t.Error(got, c.indications.Load())
	}
	e.Unbind(c.relay, call.browser.to, 0)
	e.dropsOnce(t, DropPermission, answer)
	c.bound(e, call.browser.to)
	call.bothWays(t)

	for reason, d := range map[DropReason][]byte{
		DropChannel: {0x7f, 0x09, 0, 0}, DropProtocol: {0x40, 0x01, 0, 9, 'x'},
	} {
		e.dropsOnce(t, reason, func() { call.browser.conn.WriteToUDPAddrPort(d, c.server) })
	}
	for _, d := range [][]byte{{0x80, 0, 0, 0}, {22, 0, 0, 0}, {0x40, 1, 0}} {
		e.dropsOnce(t, DropProtocol, func() { call.browser.conn.WriteToUDPAddrPort(d, c.server) })
	}
	call.bothWays(t)
	c.conn.Close()
	e.dropsOnce(t, DropAllocation, speak)
	e.dropsOnce(t, DropAllocation, answer)
	if n := e.Stats().Allocations; n != 0 {
		t.Errorf("%d allocations", n)
	}
}

// Nobody but media ports of ours is bound, and nobody takes another's relayed address.
func TestWhatIsNotBound(t *testing.T) {
	t.Parallel()
	e := open(t, withClients)
	c := allocate(t, e, newPeer(t, newLeg(t, e, LegSpec{Profile: sdp.WebRTC}).Local()), 61000)
	for _, to := range []netip.AddrPort{loopback(5060), c.server, netip.MustParseAddrPort("[::1]:5060"), netip.AddrPortFrom(netip.IPv6Loopback(), e.Addrs()[0].Port())} {
		c.bound(e, to)
	}
	if list := c.conn.(*allocation).all(); len(list) != 0 {
		t.Errorf("%d bound", len(list))
	}
	if _, err := e.PacketConn(c.relay, loopback(9), nil, nil, c.meter); !errors.Is(err, os.ErrExist) {
		t.Errorf("the same address: %v", err)
	}
	for i := range 2 * maxDetours {
		c.bound(e, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), e.Addrs()[0].Port()))
	}
	if list := c.conn.(*allocation).all(); len(list) != maxDetours {
		t.Errorf("%d bound", len(list))
	}
}

// Whose client comes by a connection writes its packets to the allocation, and reads what is for it.
func TestAllocationOfAConnection(t *testing.T) {
	t.Parallel()
	e := open(t, withClients)
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	l.SetRemote(p.remote())
	meter := &turnClient{}
	relay := loopback(61000)
	conn, err := e.PacketConn(relay, addrOf(p.conn), nil, nil, meter.meter)
	if err != nil {
		t.Fatal(err)
	}
	check := p.request(controlling{}, useCandidate{})
	if conn.WriteTo(check.Raw, net.UDPAddrFromAddrPort(p.to)); e.Stats().Drops[DropPermission.String()] != 1 {
		t.Errorf("without a permission: %+v", e.Stats())
	}
	e.Bind(relay, p.to, netip.AddrPort{}, 0)
	if _, err := conn.WriteToUDPAddrPort(check.Raw, p.to); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, from, err := conn.ReadFromUDPAddrPort(b)
	m := &stun.Message{Raw: b[:n]}
	if err != nil || from != p.to || m.Decode() != nil || m.TransactionID != check.TransactionID {
		t.Fatal(n, from, err)
	}
	var seen stun.XORMappedAddress
	if seen.GetFrom(m) != nil || seen.Port != int(relay.Port()) {
		t.Errorf("the client is seen at %v", seen)
	}
	if meter.in.Load() != uint64(n) || meter.out.Load() != uint64(len(check.Raw)) {
		t.Errorf("metered %d in, %d out", meter.in.Load(), meter.out.Load())
	}
	time.AfterFunc(time.Millisecond, func() { conn.Close() })
	if _, _, err := conn.ReadFrom(b); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := conn.WriteToUDPAddrPort(check.Raw, p.to); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// Data indications are what a client's library reads.
func TestDataIndications(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"192.0.2.1:40000", "[2001:db8::1]:40000"} {
		d := &detour{peer: netip.MustParseAddrPort(at)}
		for size := 1; size < 9; size++ {
			payload := bytes.Repeat([]byte{7}, size)
			var b [frameMost]byte
			m := &stun.Message{Raw: append(append(b[:d.dataHeader(b[:], size)], payload...), make([]byte, -size&3)...)}
			var peer stun.XORMappedAddress
			if err := m.Decode(); err != nil || peer.GetFromAs(m, stun.AttrXORPeerAddress) != nil {
				t.Fatal(err)
			}
			data, err := m.Get(stun.AttrData)
			if err != nil || !bytes.Equal(data, payload) || peer.String() != at || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
				t.Errorf("%s: %v %v %v", m, peer, data, err)
			}
		}
	}
}

// turned puts a TURN client between the bench's browser and its leg.
func (b *bench) turned() *allocation {
	b.w.engine.allocations.init()
	port := &clientPort{engine: b.w.engine, listen: 1, ring: newRing(), arrived: make(chan struct{}, 1), done: make(chan struct{})}
	b.w.engine.clients = []*clientPort{port}
	b.w.browsers = []int{-1, -1}
	a := &allocation{
		engine: b.w.engine, fd: -1, at: loopback(61000), name: sockaddrOf(loopback(61000)), port: port, key: b.browser.source(1),
		meter: func(bool, int) bool { return true }, done: make(chan struct{}),
	}
	a.client = endpointOf(b.browser, localAddr{})
	d := &detour{allocation: a, peer: loopback(40000), key: source{hi: 1, listen: detourListen}}
	d.channel.Store(testChannel)
	d.permitted.Store(true)
	a.detours.Store(&[]*detour{d})
	b.w.clients[a.key] = a
	f := b.a.ice.selected
	delete(b.w.flows, f.key)
	f.detour, f.key = d, d.key
	b.w.flows[f.key] = f
	return a
}

// fromTURN is one packet's whole path but for the system calls, out of ChannelData.
func (b *bench) fromTURN(p []byte) {
	b.w.in.next = 0
	d := datagram{data: b.w.in.copyIn(p), from: &b.browser, listen: 1}
	b.w.fromClient(b.w.engine.clients[0], &d)
	b.w.out.count = 0
}

func channelData(list [][]byte) [][]byte {
	c := turnClient{channel: testChannel}
	for i := range list {
		list[i] = c.wrap(list[i])
	}
	return list
}

// What TURN puts around a packet costs no allocation either: channels, and Data indications.
func TestTURNPacketsAllocateNothing(t *testing.T) {
	b := newBench(t, 7)
	a := b.turned()
	const runs = 1000
	list := channelData(b.sealed(t, 1, runs+2, voice))
	next := 0
	if n := testing.AllocsPerRun(runs, func() { b.fromTURN(list[next]); next++ }); n != 0 {
		t.Errorf("%v allocations for a packet of the browser", n)
	}
	if got := b.a.counters.packetsIn.Load(); got != runs+1 {
		t.Errorf("%d of %d packets passed: %+v", got, runs+1, b.a.Stats())
	}
	p := packet(t, 107, 9, 0, voice)
	sequence := uint16(0)
	for _, channel := range []uint32{testChannel, 0} {
		a.all()[0].channel.Store(channel)
		if n := testing.AllocsPerRun(runs, func() {
			sequence++
			p[2], p[3] = byte(sequence>>8), byte(sequence)
			b.fromPhone(p)
		}); n != 0 {
			t.Errorf("channel %#x: %v allocations for a packet of the phone", channel, n)
		}
	}
	if got := b.w.counters.detoured[1].Load(); got != 2*(runs+1) || len(b.a.Stats().Drops) != 0 {
		t.Errorf("%d packets left: %+v", got, b.a.Stats())
	}
}

func BenchmarkRelayFromTURN(b *testing.B) {
	x := newBench(b, 7)
	x.turned()
	x.measured(b, channelData, x.fromTURN)
}

func BenchmarkRelayToTURN(b *testing.B) {
	x := newBench(b, 7)
	x.turned()
	p := packet(b, 107, 9, 0, voice)
	sequence := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		sequence++
		p[2], p[3] = byte(sequence>>8), byte(sequence)
		x.fromPhone(p)
	}
}

// FuzzClientPort throws anything at a port of TURN's clients, from one that has an allocation and from nowhere.
func FuzzClientPort(f *testing.F) {
	b := newBench(f, 7)
	b.turned()
	port := b.w.engine.clients[0]
	f.Add(channelData(b.sealed(f, 1, 1, voice))[0])
	f.Add([]byte{0x40, 0x01, 0, 4, 0x80, 0, 0, 0})
	f.Add([]byte{0x40, 0x01, 0, 0})
	f.Add([]byte{0x40, 0x02, 0xff, 0xff, 1})
	f.Add([]byte{0x4f})
	f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest)).Raw)
	f.Add(append([]byte{0x40, 0x01, 0, 20}, stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw...))
	stranger := sockaddrOf(loopback(50009))
	read := make([]byte, 2000)
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > maxDatagram {
			return
		}
		for _, from := range []*sockaddr{&b.browser, &stranger} {
			b.w.in.next = 0
			d := datagram{data: b.w.in.copyIn(p), from: from, listen: 1}
			b.w.fromClient(port, &d)
			b.w.out.count = 0
			if len(p) < channelHeader || p[0] > 3 {
				continue
			}
			n, at, err := port.ReadFromUDPAddrPort(read)
			if err != nil || !bytes.Equal(read[:n], p) || at != from.addrPort() {
				t.Fatal("a message did not reach the control plane as it came: ", n, at, err)
			}
		}
		b.noFault(t)
	})
}
