package media

import (
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"tandem/bridge/sdp"
)

// bench is a worker without its goroutine, and a joined pair of legs on it: the packet path in memory, sockets left out.
type bench struct {
	w       *worker
	a, b    *Leg
	browser sockaddr
	phone   sockaddr
	out     *srtp.Context // the browser's
}

func newBench(t testing.TB, profile uint16) *bench {
	t.Helper()
	cfg, err := Config{RTP: RTPConfig{Address: loopback(0).Addr()}, Workers: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{cfg: cfg, table: newLegTable(), events: newDispatcher(), ports: newPorts(cfg.RTP, 0, 0), learn: learnSignalling, start: time.Now()}
	w, err := newWorker(e, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.poller.close)
	e.workers = []*worker{w}
	w.browsers = []int{-1}
	b := &bench{w: w, browser: sockaddrOf(loopback(50000)), phone: sockaddrOf(loopback(50002))}
	key, salt, err := profileSizes(profile)
	if err != nil {
		t.Fatal(err)
	}
	session, err := newSession(SRTPState{Profile: profile,
		LocalKey: make([]byte, key), LocalSalt: make([]byte, salt), RemoteKey: make([]byte, key), RemoteSalt: make([]byte, salt)})
	if err != nil {
		t.Fatal(err)
	}
	if b.out, err = srtp.CreateContext(make([]byte, key), make([]byte, salt), srtp.ProtectionProfile(profile)); err != nil {
		t.Fatal(err)
	}
	b.a = &Leg{engine: e, index: -1, spec: LegSpec{Profile: sdp.WebRTC}, transport: transport{srtp: session}}
	b.a.transport.leg = b.a
	f := &flow{key: b.browser.source(0), leg: b.a, to: endpointOf(b.browser, localAddr{})}
	b.a.ice.flows, b.a.ice.selected = []*flow{f}, f
	w.attach(b.a)
	b.b = &Leg{engine: e, index: -1, spec: LegSpec{Profile: sdp.RTP}, learn: e.learn}
	pair, err := e.ports.take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.ports.release(pair) })
	b.b.streams = []*rtpStream{newRTPStream(b.b, 0, pair)}
	w.attach(b.b)
	told := sdp.Remote{Streams: []sdp.RemoteStream{{RTP: loopback(50002)}}}
	b.b.setAddresses(w, told)
	w.relate(&joining{legs: [2]*Leg{b.a, b.b}, plan: opusPlan()})
	return b
}

// sealed makes count consecutive packets of the browser, with the first sequence number of the next ones.
func (b *bench) sealed(t testing.TB, first uint16, count int, payload string) [][]byte {
	t.Helper()
	list := make([][]byte, count)
	for i := range list {
		p, err := b.out.EncryptRTP(nil, packet(t, 111, 7, first+uint16(i), payload), nil)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = p
	}
	return list
}

// fromBrowser is one packet's whole path but for the system calls.
func (b *bench) fromBrowser(p []byte) {
	b.w.in.next = 0
	d := datagram{data: b.w.in.copyIn(p), from: &b.browser}
	b.w.demux(&d)
	b.w.out.count = 0
}

func (b *bench) fromPhone(p []byte) {
	b.w.in.next = 0
	d := datagram{data: b.w.in.copyIn(p), from: &b.phone}
	b.w.receivePort(b.b.streams[0].rtp.socket, &d)
	b.w.out.count = 0
}

const voice = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"012345678901234567890123456789" // 160 bytes: 20 ms of G.711

func TestPacketsAllocateNothing(t *testing.T) {
	for _, profile := range srtpProfiles() {
		t.Run(profileName(uint16(profile)), func(t *testing.T) {
			b := newBench(t, uint16(profile))
			const runs = 1000
			list := b.sealed(t, 1, runs+2, voice)
			next := 0
			if n := testing.AllocsPerRun(runs, func() { b.fromBrowser(list[next]); next++ }); n != 0 {
				t.Errorf("%v allocations for a packet of the browser", n)
			}
			if got := b.w.counters.packetsIn.Load(); got != runs+1 {
				t.Errorf("%d of %d packets passed: %+v", got, runs+1, b.a.Stats())
			}
			sequence := uint16(0)
			p := packet(t, 107, 9, 0, voice)
			if n := testing.AllocsPerRun(runs, func() {
				sequence++
				p[2], p[3] = byte(sequence>>8), byte(sequence)
				b.fromPhone(p)
			}); n != 0 {
				t.Errorf("%v allocations for a packet of the phone", n)
			}
			if got := b.b.counters.packetsIn.Load(); got != runs+1 || len(b.b.Stats().Drops) != 0 {
				t.Errorf("%d of %d packets passed: %+v", got, runs+1, b.b.Stats())
			}
		})
	}
}

// pion's SRTCP makes its additional data anew under GCM; a report comes every few seconds.
func TestRTCPHardlyAllocates(t *testing.T) {
	for _, profile := range srtpProfiles() {
		t.Run(profileName(uint16(profile)), func(t *testing.T) {
			b := newBench(t, uint16(profile))
			const runs = 200
			var list [][]byte
			for range runs + 2 {
				p, err := b.out.EncryptRTCP(nil, senderReport(7), nil)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, p)
			}
			next := 0
			if n := testing.AllocsPerRun(runs, func() { b.fromBrowser(list[next]); next++ }); n > 1 {
				t.Errorf("%v allocations for a report of the browser", n)
			}
			if n := testing.AllocsPerRun(runs, func() {
				b.w.in.next = 0
				d := datagram{data: b.w.in.copyIn(senderReport(9)), from: &b.phone}
				b.w.receivePort(b.b.streams[0].rtp.socket, &d)
				b.w.out.count = 0
			}); n > 1 { // the report that the test makes
				t.Errorf("%v allocations for a report of the phone", n)
			}
		})
	}
}

func BenchmarkRelayFromBrowser(b *testing.B) {
	for _, profile := range srtpProfiles() {
		b.Run(profileName(uint16(profile)), func(b *testing.B) {
			x := newBench(b, uint16(profile))
			x.measured(b, func(list [][]byte) [][]byte { return list }, x.fromBrowser)
		})
	}
}

// measured has packets that the browser sealed taken one after the other; sealing and wrapping them does not count.
func (x *bench) measured(b *testing.B, wrap func([][]byte) [][]byte, take func([]byte)) {
	const chunk = 8192
	first := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		list := wrap(x.sealed(b, first, chunk, voice))
		first += chunk
		b.StartTimer()
		for _, p := range list {
			take(p)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*chunk), "ns/packet")
}

func BenchmarkRelayToBrowser(b *testing.B) {
	for _, profile := range srtpProfiles() {
		b.Run(profileName(uint16(profile)), func(b *testing.B) {
			x := newBench(b, uint16(profile))
			p := packet(b, 107, 9, 0, voice)
			sequence := uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				sequence++
				p[2], p[3] = byte(sequence>>8), byte(sequence)
				x.fromPhone(p)
			}
		})
	}
}
