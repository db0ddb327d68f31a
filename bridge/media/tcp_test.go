package media

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/bridge/sdp"
)

func withTCP(c *Config) { c.TCP = true }

// passive is the address of a leg's TCP candidate.
func passive(t testing.TB, local sdp.Local) netip.AddrPort {
	t.Helper()
	i := slices.IndexFunc(local.Candidates, func(c sdp.Candidate) bool { return c.Transport == "tcp" })
	if i < 0 {
		t.Fatalf("no TCP candidate among %v", local.Candidates)
	}
	return local.Candidates[i].Addr
}

// dial puts a TCP connection in the place of the peer's socket.
func (p *peer) dial(to netip.AddrPort) {
	p.t.Helper()
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	p.tcp = conn
	go func() {
		var header [frameHeader]byte
		for {
			if _, err := io.ReadFull(conn, header[:]); err != nil {
				return
			}
			d := make([]byte, int(header[0])<<8|int(header[1]))
			if _, err := io.ReadFull(conn, d); err != nil {
				return
			}
			p.sort(d)
		}
	}()
}

// overTCP has the peer of a call use its leg's TCP candidate.
func overTCP(p *peer) { p.dial(passive(p.t, p.local)) }

func TestTCPCandidate(t *testing.T) {
	e := open(t, withTCP)
	c := newCall(t, e, overTCP)
	for range 100 {
		c.bothWays(t)
	}
	s := c.a.Stats()
	if s.Remote != c.browser.addr() || s.PacketsIn != 100 || e.Stats().TCP != 1 {
		t.Errorf("stats %+v, %d connections", s, e.Stats().TCP)
	}
	checkSuccess(t, c.browser, c.browser.check())
	c.a.Close()
	if n := e.Stats().TCP; n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if _, err := c.browser.tcp.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// The last pair that the peer nominates wins, over whichever transport.
func TestBetweenUDPAndTCP(t *testing.T) {
	e := open(t, withTCP)
	c := newCall(t, e)
	c.bothWays(t)
	overTCP(c.browser)
	c.browser.check()
	waitFor(t, "TCP to be in use", func() bool { return c.a.Stats().Remote == c.browser.addr() })
	c.bothWays(t)
	connection := c.browser.tcp
	c.browser.tcp = nil
	c.browser.check()
	waitFor(t, "UDP to be in use", func() bool { return c.a.Stats().Remote == c.browser.addr() })
	c.bothWays(t)
	connection.Close()
	waitFor(t, "the connection to be closed", func() bool { return e.Stats().TCP == 0 })
	c.bothWays(t)
}

// A connection that breaks is replaced by another.
func TestTCPReconnect(t *testing.T) {
	e := open(t, withTCP)
	c := newCall(t, e, overTCP)
	c.bothWays(t)
	c.browser.tcp.Close()
	waitFor(t, "the connection to be closed", func() bool { return e.Stats().TCP == 0 })
	c.phone.sendRTP(107, "into the void")
	waitFor(t, "nobody to be there", func() bool { return c.a.Stats().Drops[DropPeerNotReady.String()] == 1 })
	overTCP(c.browser)
	c.browser.check()
	c.bothWays(t)
}

func TestTCPRefusals(t *testing.T) {
	e := open(t, withTCP)
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	l.SetRemote(p.remote())
	wrong, foreign := newPeer(t, l.Local()), newPeer(t, l.Local())
	wrong.local.Password = "wrong"
	foreign.local.Ufrag = "somebodyelsesufr"
	for _, c := range []struct {
		name string
		sent []byte
		drop DropReason
	}{
		{"too long a frame", []byte{0xff, 0xff, 0, 1}, DropProtocol},
		{"no STUN", appendFrame(nil, bytes.Repeat([]byte{0x80}, 40)), DropSTUNMalformed},
		{"another's ufrag", appendFrame(nil, foreign.request(controlling{}).Raw), DropSTUNUfrag},
		{"wrong password", appendFrame(nil, wrong.request(controlling{}).Raw), DropSTUNIntegrity},
		{"wrong role", appendFrame(nil, p.request(controlledRole{}).Raw), DropSTUNRole},
		{"closed at once", nil, DropTCPSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			dropped := e.Stats().Drops[c.drop.String()]
			conn, err := net.Dial("tcp", passive(t, l.Local()).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if len(c.sent) == 0 {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil && err.(net.Error).Timeout() {
				t.Error("the connection is open")
			}
			waitFor(t, c.drop.String()+" to be counted", func() bool { return e.Stats().Drops[c.drop.String()] == dropped+1 })
			waitFor(t, "the connection to be let go", func() bool { return e.Stats().TCP == 0 })
		})
	}
}

// One that validates no pair is closed, and so is one that says nothing.
func TestIdleTCP(t *testing.T) {
	t.Parallel()
	e := open(t, withTCP, func(c *Config) { c.Limits.FirstCheck = 5 * time.Second })
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	other := p.remote()
	other.Ufrag = "another"
	l.SetRemote(other)
	for range maxTCPOfLeg {
		overTCP(p)
		p.check()
	}
	waitFor(t, "connections without a pair to be closed", func() bool {
		return e.Stats().TCP == 0 && e.Stats().Drops[DropTCPSilent.String()] == maxTCPOfLeg
	})
	if _, err := net.Dial("tcp", passive(t, l.Local()).String()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the silent one to be closed", func() bool {
		return e.Stats().Drops[DropTCPSilent.String()] == maxTCPOfLeg+1
	})
}

func TestTCPLimits(t *testing.T) {
	e := open(t, withTCP)
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	l.SetRemote(p.remote())
	for range maxTCPOfLeg {
		overTCP(p)
		p.check()
	}
	overTCP(p)
	p.send(p.request(controlling{}).Raw)
	waitFor(t, "one too many of a leg to be refused", func() bool { return e.Stats().Drops[DropTCPLimit.String()] == 1 })
	waitFor(t, "the others to be left", func() bool { return e.Stats().TCP == maxTCPOfLeg })
	var held []net.Conn
	waitFor(t, "strangers to be refused", func() bool {
		conn, err := net.Dial("tcp", passive(t, l.Local()).String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
		return e.Stats().Drops[DropTCPLimit.String()] > 1
	})
	if len(held) <= maxTCPStranger {
		t.Errorf("refused after %d", len(held))
	}
	for _, conn := range held {
		conn.Close()
	}
}

// The listener of HTTPS passes a connection on, of which it has read the beginning.
func TestServeTCP(t *testing.T) {
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	shared := own.Addr().(*net.TCPAddr).AddrPort()
	e := open(t, withTCP, func(c *Config) { c.Shared = []netip.AddrPort{shared} })
	go func() {
		for size := 1; ; size += 7 {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			first := make([]byte, size)
			n, err := io.ReadFull(conn, first)
			if err == nil {
				e.ServeTCP(conn, first[:n])
			}
		}
	}()
	for range 5 {
		c := newCall(t, e, func(p *peer) {
			last := p.local.Candidates[len(p.local.Candidates)-1]
			if last.Transport != "tcp" || last.Addr != shared {
				t.Fatalf("candidates %v", p.local.Candidates)
			}
			p.dial(shared)
		})
		c.bothWays(t)
		c.a.Close()
	}
}

// UDP 443 beside HTTPS: the one TCP listener serves both.
func TestMediaOnThePortOfHTTPS(t *testing.T) {
	own, err := net.Listen("tcp", netip.AddrPortFrom(home(t), 0).String()) // where nobody else has its UDP port
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	at := own.Addr().(*net.TCPAddr).AddrPort()
	e := open(t, withTCP, func(c *Config) { c.Listen, c.Shared = []netip.AddrPort{at}, []netip.AddrPort{at} })
	go func() {
		for {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			e.ServeTCP(conn, nil)
		}
	}()
	for _, how := range []func(*peer){func(*peer) {}, overTCP} {
		c := newCall(t, e, how)
		c.bothWays(t)
		if got := c.a.Local().Candidates; len(got) != 2 || got[0].Addr != at || got[1].Addr != at {
			t.Errorf("candidates %v", got)
		}
	}
}

// A reader that does not keep up loses packets; nobody waits for it, and what it gets is whole.
func TestSlowTCPReader(t *testing.T) {
	e := open(t, withTCP)
	c := newCall(t, e, func(p *peer) {
		p.packets = make(chan []byte) // nobody reads: the kernel's buffers fill
		overTCP(p)
	})
	waitFor(t, "the queue to be full", func() bool {
		for range 200 {
			c.phone.sendRTP(107, voice+voice+voice+voice+voice+voice)
		}
		return c.a.Stats().Drops[DropTCPQueue.String()] > 0
	})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-c.browser.packets:
			case <-stop:
				return
			}
		}
	}()
	c.browser.check() // answered behind all that was queued
}

// Packets over TCP cost no allocation either.
func TestTCPPacketsAllocateNothing(t *testing.T) {
	b := newBench(t, 7)
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(ends[:])
	c := &tcpConn{leg: b.a, fd: ends[0], name: b.browser, key: source{hi: 1, listen: tcpListen}, proven: true}
	b.a.tcp = []*tcpConn{c}
	b.w.watchTCP(c)
	f := b.a.ice.selected
	delete(b.w.flows, f.key)
	f.tcp, f.key = c, c.key
	b.w.flows[f.key] = f
	const runs = 1000
	list := b.sealed(t, 1, runs+2, voice)
	for i := range list {
		list[i] = appendFrame(nil, list[i])
	}
	drain := make([]byte, 4096)
	next := 0
	if n := testing.AllocsPerRun(runs, func() {
		b.w.in.next, b.w.out.count = 0, 0
		_, _ = unix.Write(ends[1], list[next][:40]) // a frame in two pieces
		b.w.readTCP(c)
		_, _ = unix.Write(ends[1], list[next][40:])
		b.w.readTCP(c)
		next++
	}); n != 0 {
		t.Errorf("%v allocations for a packet of the browser", n)
	}
	if got := b.a.counters.packetsIn.Load(); got != runs+1 {
		t.Errorf("%d of %d packets passed: %+v", got, runs+1, b.a.Stats())
	}
	p := packet(t, 107, 9, 0, voice)
	sequence := uint16(0)
	if n := testing.AllocsPerRun(runs, func() {
		sequence++
		p[2], p[3] = byte(sequence>>8), byte(sequence)
		b.fromPhone(p)
		b.w.flushTCP()
		_, _ = unix.Read(ends[1], drain)
	}); n != 0 {
		t.Errorf("%v allocations for a packet of the phone", n)
	}
	if got := b.a.counters.packetsOut.Load(); got != runs+1 || len(b.a.Stats().Drops) != 0 {
		t.Errorf("%d of %d packets left: %+v", got, runs+1, b.a.Stats())
	}
}

// A connection ends with its process: where the leg goes on, the browser opens another.
func TestRestoreOverTCP(t *testing.T) {
	e := open(t, withTCP)
	c := newCall(t, e, overTCP)
	c.bothWays(t)
	state := c.a.Export()
	if state.Pair.IsValid() || state.SRTP == nil {
		t.Fatalf("exported %+v", state)
	}
	c.a.Close()
	c.a = newLeg(t, e, LegSpec{Profile: sdp.WebRTC, Restore: &state})
	e.Join(c.a, c.b, opusPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == 1 })
	overTCP(c.browser)
	c.browser.check()
	c.bothWays(t)
	if n := e.Stats().Handshakes; n != 1 {
		t.Errorf("%d handshakes", n)
	}
}

// A connection moves between workers with its leg, in the middle of its bytes, and none of them is lost.
func TestTCPMoves(t *testing.T) {
	e := open(t, withTCP, func(c *Config) { c.Workers = 3 })
	var others []*Leg
	homes := map[int]bool{}
	for len(homes) < 3 { // older legs, so that the connection's comes to them; the kernel's hash spreads them
		l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
		newPeer(t, l.Local()).connect(l)
		others = append(others, l)
		homes[l.home().worker()] = true
	}
	l := newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
	p := newPeer(t, l.Local())
	overTCP(p)
	p.connect(l)
	const burst = 40
	rounds := uint64(0)
	for ; rounds < 60; rounds++ {
		i := int(rounds)
		var frames []byte
		for range burst {
			sealed, err := p.out.EncryptRTP(nil, p.next(111, voice), nil)
			if err != nil {
				t.Fatal(err)
			}
			frames = appendFrame(frames, sealed)
		}
		e.Join(l, others[i%len(others)], opusPlan())
		if _, err := p.tcp.Write(frames[:len(frames)/3]); err != nil {
			t.Fatal(err)
		}
		e.Join(l, others[(i+1)%len(others)], opusPlan())
		if _, err := p.tcp.Write(frames[len(frames)/3:]); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the leg to come", func() bool { return l.home() == others[(i+1)%len(others)].home() })
	}
	defer func() {
		if t.Failed() {
			t.Logf("leg %+v\nengine %+v", l.Stats(), e.Stats())
		}
	}()
	waitFor(t, "every packet to come", func() bool { return l.Stats().PacketsIn == rounds*burst })
	if moves := e.Stats().Moves; moves < 20 {
		t.Errorf("%d moves", moves)
	}
	if n := e.Stats().TCP; n != 1 {
		t.Errorf("%d connections", n)
	}
	p.check()
}
