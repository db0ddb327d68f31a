package guard

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimit(t *testing.T) {
	l := Limit{Rate: 2, Burst: 3}
	var bucket atomic.Int64
	at := int64(time.Hour)
	for i, want := range []bool{true, true, true, false, false} {
		if got := l.fill(&bucket, at); got != want {
			t.Errorf("at once, %d: %v", i, got)
		}
	}
	at += int64(500 * time.Millisecond)
	if !l.fill(&bucket, at) || l.fill(&bucket, at) {
		t.Error("after half a second there is room for one")
	}
	at += int64(time.Minute)
	for i := range 4 {
		if got := l.fill(&bucket, at); got != (i < 3) {
			t.Errorf("after a rest, %d: %v", i, got)
		}
	}
}

// However many come at once, the bucket holds no more than its burst.
func TestLimitUnderContention(t *testing.T) {
	l := Limit{Rate: 1, Burst: 100}
	var bucket atomic.Int64
	var in atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if l.fill(&bucket, int64(time.Hour)) {
					in.Add(1)
				}
			}
		})
	}
	all.Wait()
	if in.Load() != 100 {
		t.Errorf("%d came in, of a burst of 100", in.Load())
	}
}

// Spoofed keys by the million push out those that owe little, and neither grow the table nor free who owes much.
func TestSlotsKeepWhoOwes(t *testing.T) {
	s := newSlots(1024)
	s.claim(7 << 20).Store(1 << 40)
	for i := range uint64(100000) {
		s.claim((1<<20 + i*977) << 20).Store(int64(i))
	}
	if v := s.find(7 << 20); v == nil || v.Load() != 1<<40 {
		t.Error("who owed most was pushed out")
	}
	if len(s.cells) != 1024 {
		t.Errorf("%d cells", len(s.cells))
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		g := New(Config{Connections: Limit{Rate: 1, Burst: 1}}, Options{})
		if !g.Connection(netip.MustParseAddr(c.a)) {
			t.Fatal(c.a)
		}
		if got := !g.Connection(netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s and %s counted as one: %v", c.a, c.b, got)
		}
	}
}

func TestWhoIsNeverLimited(t *testing.T) {
	friend := netip.MustParseAddr("192.0.2.9")
	g := New(Config{
		Connections: Limit{Rate: 1, Burst: 1}, Handshakes: Limit{Rate: 1, Burst: 1}, Requests: Limit{Rate: 1, Burst: 1},
		Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
	}, Options{Friend: func(a netip.Addr) bool { return a == friend }})
	for text, free := range map[string]bool{"192.0.2.9": true, "198.51.100.77": true, "203.0.113.1": false} {
		from := netip.MustParseAddr(text)
		visitor := g.Visit(from)
		g.Connection(from)
		connected, visited := g.Connection(from), g.Visit(from) != nil
		visitor.Message([]byte("OPTIONS sip:a SIP/2.0\r\n"))
		served, _ := visitor.Message([]byte("OPTIONS sip:a SIP/2.0\r\n"))
		if connected != free || visited != free || served != free {
			t.Errorf("%s: connection %v, visit %v, message %v", text, connected, visited, served)
		}
	}
}

func TestRequestsOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Requests: Limit{Rate: 10, Burst: 5}}, Options{})
		v, request := g.Visit(netip.MustParseAddr("192.0.2.1")), []byte("MESSAGE sip:a SIP/2.0\r\n")
		served, ended := 0, false
		for range 10 {
			ok, end := v.Message(request)
			if ok {
				served++
			}
			ended = ended || end
		}
		if served != 5 || ended {
			t.Errorf("%d served, ended %v", served, ended)
		}
		if ok, _ := v.Message([]byte("SIP/2.0 200 OK\r\n")); !ok {
			t.Error("a response was counted")
		}
		if ok, _ := g.Visit(netip.MustParseAddr("192.0.2.1")).Message(request); !ok {
			t.Error("another connection of that address pays for the first")
		}
		time.Sleep(100 * time.Millisecond)
		if ok, _ := v.Message(request); !ok {
			t.Error("not served after a rest")
		}
		for range refusedMost + 1 {
			_, end := v.Message(request)
			ended = ended || end
		}
		if !ended {
			t.Error("who goes on and on was not ended")
		}
		if n := g.Stats().Refused["request-rate"]; n < 10 {
			t.Errorf("counted %d", n)
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	g := New(Config{Requests: Limit{Rate: 1e6, Burst: 1e6}}, Options{})
	v, request := g.Visit(netip.MustParseAddr("192.0.2.1")), []byte("MESSAGE sip:a SIP/2.0\r\n")
	b.ReportAllocs()
	for b.Loop() {
		v.Message(request)
	}
}

func BenchmarkConnection(b *testing.B) {
	g := New(Config{Connections: Limit{Rate: 1e6, Burst: 1e6}}, Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		from := netip.MustParseAddr("2001:db8::1")
		for pb.Next() {
			g.Connection(from)
		}
	})
}

// Letting in and keeping out allocate nothing, whoever comes.
func TestDecisionsAllocateNothing(t *testing.T) {
	cfg := standard
	cfg.Connections, cfg.Requests, cfg.Identity = Limit{Rate: 1, Burst: 50}, Limit{Rate: 1, Burst: 50}, Limit{Rate: 1, Burst: 50}
	cfg.Unproven, cfg.Answer = Limit{Rate: 1, Burst: 50}, true
	g := New(cfg, Options{})
	banned := netip.MustParseAddr("203.0.113.1")
	g.BanFor(banned, "", time.Hour)
	v, aor := g.Visit(office), alice(1)
	scan := []byte("OPTIONS sip:a SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n")
	for what, decide := range map[string]func(){
		"a connection":             func() { g.Connection(office) },
		"a banned connection":      func() { g.Connection(banned) },
		"a message":                func() { v.Message(request) },
		"a request":                func() { v.Admit(aor) },
		"a stranger's datagram":    func() { g.Stranger(netip.AddrPortFrom(office, 5060), "UDP", request) },
		"a scanner's datagram":     func() { g.Stranger(netip.AddrPortFrom(office, 5060), "UDP", scan) },
		"a banned one's datagram":  func() { g.Stranger(netip.AddrPortFrom(banned, 5060), "UDP", scan) },
		"a response to a stranger": func() { g.Stranger(netip.AddrPortFrom(office, 5060), "UDP", []byte("SIP/2.0 200 OK\r\n")) },
	} {
		if n := testing.AllocsPerRun(300, decide); n != 0 {
			t.Errorf("%s costs %v allocations", what, n)
		}
	}
}
