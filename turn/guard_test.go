package turn

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// testGuard keeps out whom the test says.
type testGuard struct {
	mu      sync.Mutex // guards what follows
	shut    bool
	users   []string // banned
	wrong   []string // user and transport
	entered int      // connections that were asked about
}

func (g *testGuard) Connection(netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entered++
	return !g.shut
}

func (g *testGuard) Banned(_ netip.Addr, user string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return user == "" && g.shut || slices.Contains(g.users, user)
}

func (g *testGuard) Wrong(_ netip.Addr, user, transport string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong = append(g.wrong, user+" "+transport)
}

func (g *testGuard) set(shut bool, users ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.users = shut, users
}

func guarded(t *testing.T) (*Server, *testGuard) {
	t.Helper()
	g := &testGuard{}
	return open(t, func(c *Config) { c.Guard = g }), g
}

// A banned address hears nothing of datagrams, and again something once the ban is over.
func TestBannedDatagrams(t *testing.T) {
	t.Parallel()
	s, g := guarded(t)
	conn := dial(t, s, "udp").(*net.UDPConn)
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	ask := func() *stun.Message {
		m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		if _, err := conn.WriteTo(m.Raw, net.UDPAddrFromAddrPort(s.Addrs()[0].Addr)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	g.set(true)
	ask()
	until(t, "the datagram is refused", func() bool { return s.Stats().Refused[RefusedBanned] == 1 })
	g.set(false)
	asked := ask()
	b := make([]byte, 1500)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if m := (&stun.Message{Raw: b[:n]}); m.Decode() != nil || m.TransactionID != asked.TransactionID {
		t.Errorf("the request of before is answered: %v", m)
	}
}

// A banned address does not connect, and a connection ends with the first message after the ban.
func TestBannedConnections(t *testing.T) {
	t.Parallel()
	s, g := guarded(t)
	var at string
	for _, l := range s.Addrs() {
		if l.Network == "tcp" {
			at = l.Addr.String()
		}
	}
	connect := func() net.Conn {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn
	}
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	conn := connect()
	conn.Write(request)
	b := make([]byte, 1500)
	if _, err := conn.Read(b); err != nil {
		t.Fatal(err)
	}
	g.set(true)
	if _, err := connect().Read(b); err == nil {
		t.Error("a banned address connects")
	}
	until(t, "the connection is refused", func() bool { return s.Stats().Refused[RefusedBanned] == 1 })
	conn.Write(request)
	if n, err := conn.Read(b); err != io.EOF {
		t.Errorf("a connection of before: %d bytes, %v", n, err)
	}
	if got := s.Stats().Refused[RefusedBanned]; got != 2 {
		t.Errorf("%d refused", got)
	}
	if g.entered != 2 {
		t.Errorf("asked about %d connections", g.entered)
	}
}

// The guard hears of wrong credentials and by what they came, not of good and expired ones; whose name is banned is not listened to.
func TestGuardHearsOfWrongCredentials(t *testing.T) {
	t.Parallel()
	s, g := guarded(t)
	late := Issue(newSecret, "bob", time.Now().Add(-time.Second))
	forged := Issue("another secret", "bob", time.Now().Add(time.Hour))
	for _, c := range []struct {
		network, user, password string
		good                    bool
	}{
		{"udp", "alice", "thunder", false}, {"tcp", "mallory", "x", false}, {"tls", forged.Username, forged.Password, false},
		{"dtls", "alice", "thunder", false}, {"udp", late.Username, late.Password, false}, {"tcp", "alice", "wonder", true},
	} {
		if _, err := newTestClient(t, s, c.network, c.user, c.password).Allocate(); (err == nil) != c.good {
			t.Errorf("%+v: %v", c, err)
		}
	}
	g.mu.Lock()
	heard := slices.Compact(slices.Sorted(slices.Values(g.wrong))) // a client that is answered late asks again
	g.mu.Unlock()
	if want := slices.Sorted(slices.Values([]string{"alice udp", "mallory tcp", forged.Username + " tls", "alice dtls"})); !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	g.set(false, "alice")
	if _, err := newTestClient(t, s, "udp", "alice", "wonder").Allocate(); err == nil {
		t.Error("a banned user is let in")
	}
	g.set(false)
	if _, err := newTestClient(t, s, "udp", "alice", "wonder").Allocate(); err != nil {
		t.Errorf("after the ban: %v", err)
	}
}
