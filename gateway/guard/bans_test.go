package guard

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	office   = netip.MustParseAddr("192.0.2.1")
	request  = []byte("MESSAGE sip:a SIP/2.0\r\nUser-Agent: JsSIP 3\r\n\r\n")
	standard = Config{
		Failures: Failures{Identity: 5, Address: 8, Within: 10 * time.Minute},
		Bans:     Bans{First: time.Minute, Longest: 10 * time.Minute},
		Scanners: ScannerAgents(),
	}
)

func alice(n int) string { return "sip:alice" + strconv.Itoa(n) + "@example.com" }

// Guessing one user's password bans that user at that address, and nobody else.
func TestGuessingBansThePair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(standard, Options{})
		bad, other := g.Visit(office), g.Visit(office)
		for i := range 5 {
			if status, _ := bad.Admit(alice(1)); status != 0 {
				t.Fatalf("kept out after %d failures", i)
			}
			bad.Judged(alice(1), false)
		}
		if status, _ := bad.Admit(alice(1)); status != 403 {
			t.Errorf("after five: %d", status)
		}
		if status, _ := other.Admit(alice(2)); status != 0 {
			t.Errorf("another user of that address: %d", status)
		}
		if status, _ := g.Visit(netip.MustParseAddr("192.0.2.2")).Admit(alice(1)); status != 0 {
			t.Errorf("the user elsewhere: %d", status)
		}
		if b := g.Bans(); len(b) != 1 || b[0].Identity != alice(1) || b[0].Address.String() != "192.0.2.1/32" || b[0].Why != string(Guessing) {
			t.Errorf("%+v", b)
		}
		time.Sleep(time.Minute)
		if status, _ := bad.Admit(alice(1)); status != 0 || len(g.Bans()) != 0 {
			t.Errorf("after the ban: %d, %v", status, g.Bans())
		}
	})
}

// A ban of the same grows, up to the longest, and is forgotten after a day.
func TestBansGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(standard, Options{})
		v := g.Visit(office)
		banned := func() time.Duration {
			for range 5 {
				v.Judged(alice(1), false)
			}
			b := g.Bans()
			if len(b) != 1 {
				t.Fatalf("%+v", b)
			}
			return b[0].Until.Sub(b[0].Since)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
			if got := banned(); got != want*time.Minute {
				t.Errorf("ban %d lasts %s", i+1, got)
			}
			time.Sleep(want * time.Minute)
		}
		time.Sleep(memory + time.Minute)
		if got := banned(); got != time.Minute {
			t.Errorf("after a day: %s", got)
		}
	})
}

// Few failures a while apart ban nobody, nor do failures before a success.
func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(standard, Options{})
		v := g.Visit(office)
		for range 50 {
			v.Judged(alice(1), false)
			time.Sleep(2*time.Minute + time.Second)
		}
		for range 50 {
			for range 4 {
				v.Judged(alice(2), false)
			}
			v.Judged(alice(2), true)
		}
		if b := g.Bans(); len(b) != 0 {
			t.Errorf("%+v", b)
		}
	})
}

// Many users that fail from one address ban it: nobody connects from there, and a connection that proved nothing ends.
func TestSweepingBansTheAddress(t *testing.T) {
	g := New(standard, Options{})
	v, idle := g.Visit(office), g.Visit(office)
	for i := range 8 {
		v.Judged(alice(i), false)
	}
	if g.Connection(office) || g.Visit(office) != nil {
		t.Error("the address may connect")
	}
	if _, end := idle.Message(request); !end {
		t.Error("a connection that proved nothing goes on")
	}
	if !g.Connection(netip.MustParseAddr("192.0.2.2")) {
		t.Error("another address may not connect")
	}
	if s := g.Stats(); s.Bans != 1 || s.Banned["sweeping"] != 1 || s.Failures != 8 || s.Refused["banned-address"] != 3 {
		t.Errorf("%+v", s)
	}
}

// Who was there before with good credentials gets in from a banned address, now and after a reconnect; others do not.
func TestTrustOutlivesTheBanOfAnAddress(t *testing.T) {
	g := New(standard, Options{})
	good := g.Visit(office)
	good.Judged(alice(100), true)
	bad := g.Visit(office)
	for i := range 8 {
		bad.Judged(alice(i), false)
	}
	if len(g.Bans()) != 1 {
		t.Fatal("no ban")
	}
	if ok, _ := good.Message(request); !ok {
		t.Error("the good user's connection is refused")
	}
	if status, _ := good.Admit(alice(100)); status != 0 {
		t.Error("the good user is refused")
	}
	again := g.Visit(office)
	if !g.Connection(office) || again == nil {
		t.Fatal("the good user cannot come again")
	}
	if status, _ := again.Admit(alice(100)); status != 0 {
		t.Error("the good user is refused on a new connection")
	}
	if status, _ := again.Admit(alice(7)); status != 403 {
		t.Error("a user without trust is let in")
	}
}

// A PBX that forgot all its users bans no office that it knew.
func TestFailuresOfTheTrusted(t *testing.T) {
	g := New(standard, Options{})
	v := g.Visit(office)
	for i := range 100 {
		v.Judged(alice(i), true)
	}
	for i := range 100 {
		for range 5 {
			v.Judged(alice(i), false)
		}
	}
	if b := g.Bans(); len(b) != 0 {
		t.Errorf("%d bans, such as %+v", len(b), b[0])
	}
	for range 20 {
		v.Judged(alice(5), false)
	}
	if b := g.Bans(); len(b) != 1 || b[0].Identity != alice(5) {
		t.Errorf("guessing a trusted user's password: %+v", b)
	}
}

// One phone with an old password, or an application with an old token, that asks again and again does not ban its office.
func TestOnePhoneBansNoOffice(t *testing.T) {
	g := New(standard, Options{})
	v := g.Visit(office)
	for range 1000 {
		v.Judged(alice(1), false)
		v.Judged("token:0123456789ab", false)
	}
	if !g.Connection(office) || g.Visit(office) == nil {
		t.Errorf("the office is shut out: %+v", g.Bans())
	}
}

func TestLiftAndBanByHand(t *testing.T) {
	g := New(standard, Options{})
	g.BanFor(office, "", time.Hour)
	g.BanFor(office, alice(1), time.Hour)
	if g.Connection(office) || len(g.Bans()) != 2 {
		t.Fatalf("%+v", g.Bans())
	}
	if n := g.Lift(office, alice(1)); n != 1 || g.Connection(office) {
		t.Errorf("lifting one identity's: %d", n)
	}
	if n := g.Lift(office, ""); n != 1 || !g.Connection(office) {
		t.Errorf("lifting: %d", n)
	}
	if n := g.Lift(office, ""); n != 0 {
		t.Errorf("lifting again: %d", n)
	}
	six := netip.MustParseAddr("2001:db8::1")
	g.BanFor(six, "", time.Hour)
	if g.Connection(netip.MustParseAddr("2001:db8::ffff")) || !g.Connection(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("a ban of IPv6 is that of a /64")
	}
}

// However many are banned, the table is bounded, and who is banned for long stays so.
func TestBansAreBounded(t *testing.T) {
	g := New(standard, Options{})
	g.BanFor(office, "", 300*24*time.Hour)
	for i := range 2 * maxBans {
		g.ban(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "", Sweeping, HTTP, 0)
	}
	if n := len(g.bans.byKey); n > maxBans {
		t.Errorf("%d bans are kept", n)
	}
	if g.Connection(office) {
		t.Error("the longest ban was forgotten")
	}
}

func TestFriendsAreNeverBanned(t *testing.T) {
	cfg := standard
	cfg.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	cfg.Bans.UDP = true
	trunk, allowed := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.3")
	g := New(cfg, Options{Friend: func(a netip.Addr) bool { return a == trunk }})
	for _, a := range []netip.Addr{trunk, allowed} {
		v := g.Visit(a)
		for i := range 100 {
			v.Judged(alice(i), false)
			g.Stranger(netip.AddrPortFrom(a, 5060), "UDP", []byte("REGISTER sip:a SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n"))
		}
		if !g.Page(a, "zgrab/0.x") {
			t.Error("a scan by a friend is none")
		}
	}
	if b := g.Bans(); len(b) != 0 {
		t.Errorf("%+v", b)
	}
}

// Nobody uses up another's rate by naming it.
func TestRateOfAnIdentity(t *testing.T) {
	cfg := standard
	cfg.Identity = Limit{Rate: 1, Burst: 3}
	g := New(cfg, Options{})
	liar, real := g.Visit(netip.MustParseAddr("203.0.113.1")), g.Visit(office)
	real.Judged(alice(1), true)
	for i := range 5 {
		if status, _ := liar.Admit(alice(1)); status != 0 != (i >= 3) {
			t.Errorf("the liar's request %d: %d", i, status)
		}
	}
	second := g.Visit(netip.MustParseAddr("192.0.2.77"))
	second.Judged(alice(1), true)
	var let int
	for i := range 6 {
		v := real
		if i%2 == 1 {
			v = second
		}
		if status, why := v.Admit(alice(1)); status == 0 {
			let++
		} else if status != 503 || !strings.Contains(why, "user") {
			t.Errorf("%d %s", status, why)
		}
	}
	if let != 3 {
		t.Errorf("%d let in of one user with two phones, of a burst of 3", let)
	}
}

// A guard that is off lets everybody in.
func TestOff(t *testing.T) {
	cfg := standard
	cfg.Off = true
	g := New(standard, Options{})
	g.BanFor(office, "", time.Hour)
	g.Reload(cfg)
	v := g.Visit(office)
	for i := range 10000 {
		v.Judged(alice(i), false)
		ok, _ := v.Message([]byte("OPTIONS sip:a SIP/2.0\r\nUser-Agent: sipvicious\r\n\r\n"))
		status, _ := v.Admit(alice(i))
		if !ok || status != 0 || !g.Connection(office) || !g.Page(office, "zgrab") {
			t.Fatal("refused")
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	cfg := standard
	cfg.Identity = Limit{Rate: 1e6, Burst: 1e6}
	g := New(cfg, Options{})
	g.BanFor(netip.MustParseAddr("203.0.113.1"), "", time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		v := g.Visit(office)
		for pb.Next() {
			v.Admit("sip:alice@example.com")
		}
	})
}
