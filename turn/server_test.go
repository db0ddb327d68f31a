package turn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	pion "github.com/pion/turn/v5"
)

const (
	newSecret = "the secret of today"
	oldSecret = "the secret of before"
)

// open starts a server on all transports whose relays reach what peers says.
func open(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	any4 := netip.MustParseAddrPort("127.0.0.1:0")
	cfg := Config{
		Listen:  []Listen{{Network: "udp", Addr: any4}, {Network: "tcp", Addr: any4}, {Network: "tls", Addr: any4}, {Network: "dtls", Addr: any4}},
		TLS:     &tls.Config{Certificates: []tls.Certificate{certificate(t)}},
		Secrets: []string{newSecret, oldSecret},
		Users: func(user, realm string) ([]byte, bool) {
			return pion.GenerateAuthKey("alice", realm, "wonder"), user == "alice"
		},
		Relay: []Address{{Listen: netip.MustParseAddr("127.0.0.1")}},
		Log:   slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial opens a client's transport to a listener of the server.
func dial(t *testing.T, s *Server, network string) net.PacketConn {
	t.Helper()
	for _, l := range s.Addrs() {
		if l.Network != network {
			continue
		}
		var conn net.Conn
		var err error
		switch network {
		case "udp":
			udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { udp.Close() })
			return udp
		case "tcp":
			conn, err = net.Dial("tcp", l.Addr.String())
		case "tls":
			conn, err = tls.Dial("tcp", l.Addr.String(), &tls.Config{InsecureSkipVerify: true})
		case "dtls":
			conn, err = dtls.DialWithOptions("udp4", net.UDPAddrFromAddrPort(l.Addr), dtls.WithInsecureSkipVerify(true))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if network == "dtls" {
			return datagrams{conn}
		}
		return newStream(conn, nil)
	}
	t.Fatal("no listener for " + network)
	return nil
}

func newTestClient(t *testing.T, s *Server, network, username, password string) *pion.Client {
	t.Helper()
	at := ""
	for _, l := range s.Addrs() {
		if l.Network == network {
			at = l.Addr.String()
		}
	}
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: dial(t, s, network), Username: username, Password: password, Realm: "tandem",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}

// listenPeer is somebody whom a relay may want to reach.
func listenPeer(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// until polls for what other goroutines do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("in vain: ", what)
		}
	}
}

func TestRelayOverEachTransport(t *testing.T) {
	t.Parallel()
	peer := listenPeer(t)
	media := peer.LocalAddr().(*net.UDPAddr)
	s := open(t, func(c *Config) { c.Peers.Media = []Media{same(media.AddrPort().String())} })
	for _, network := range []string{"udp", "tcp", "tls", "dtls"} {
		t.Run(network, func(t *testing.T) {
			cred := Issue(newSecret, "bob", time.Now().Add(time.Minute))
			c := newTestClient(t, s, network, cred.Username, cred.Password)
			relay, err := c.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := relay.WriteTo([]byte("there"), media); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, from, err := peer.ReadFromUDP(b)
			if err != nil || string(b[:n]) != "there" || from.String() != relay.LocalAddr().String() {
				t.Fatal(string(b[:max(n, 0)]), from, relay.LocalAddr(), err, s.Stats())
			}
			peer.WriteTo([]byte("back"), from)
			relay.SetReadDeadline(time.Now().Add(time.Minute))
			n, _, err = relay.ReadFrom(b)
			if err != nil || string(b[:n]) != "back" {
				t.Fatal(string(b[:n]), err)
			}
			relay.Close()
			until(t, "the allocation is gone", func() bool { return s.Stats().Allocations == 0 })
		})
	}
	if got := s.Stats(); got.Opened != 4 || got.PacketsIn != 4 || got.BytesOut != 20 {
		t.Errorf("%+v", got)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	hour := time.Now().Add(time.Hour)
	good, old, late := Issue(newSecret, "bob", hour), Issue(oldSecret, "bob", hour), Issue(newSecret, "bob", time.Now().Add(-time.Second))
	unnamed := Issue(newSecret, "", hour)
	for name, test := range map[string]struct{ user, password, refused string }{
		"first secret":    {good.Username, good.Password, ""},
		"second secret":   {old.Username, old.Password, ""},
		"no user":         {unnamed.Username, unnamed.Password, ""},
		"long-term":       {"alice", "wonder", ""},
		"long-term wrong": {"alice", "thunder", RefusedForged},
		"expired":         {late.Username, late.Password, RefusedExpired},
		"later expiry":    {strings.Replace(late.Username, "1", "2", 1), late.Password, RefusedForged},
		"another secret":  {good.Username, Issue("somebody's", "bob", hour).Password, RefusedForged},
		"stranger":        {"mallory", "x", RefusedUser},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Stats().Refused[test.refused]
			_, err := newTestClient(t, s, "udp", test.user, test.password).Allocate()
			if (err == nil) != (test.refused == "") {
				t.Fatal(err)
			}
			if test.refused != "" && s.Stats().Refused[test.refused] == before { // more than one: a client that is answered late asks again
				t.Errorf("%+v", s.Stats().Refused)
			}
		})
	}
}

// A client with good credentials reaches the gateway's media and nothing else, whatever it asks for.
func TestPeersThatAreRefused(t *testing.T) {
	t.Parallel()
	media, secret := listenPeer(t), listenPeer(t)
	s := open(t, func(c *Config) {
		c.Peers.Media = []Media{same(media.LocalAddr().String())}
		c.Peers.Own = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		c.Peers.Allow = []Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}}
	})
	cred := Issue(newSecret, "bob", time.Now().Add(time.Minute))
	c := newTestClient(t, s, "tcp", cred.Username, cred.Password)
	relay, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"127.0.0.2", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "::ffff:127.0.0.2", "224.0.0.1"} {
		if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP(addr), Port: 80}); err == nil {
			t.Errorf("a permission for %s", addr)
		}
	}
	// The media's address has a permission; its other ports are refused packet by packet.
	to := secret.LocalAddr()
	if _, err := relay.WriteTo([]byte("by Send indication"), to); err != nil {
		t.Fatal(err)
	}
	until(t, "the packet is refused", func() bool { return s.Stats().Refused[RefusedPacket] >= 1 })
	if _, err := relay.WriteTo([]byte("on"), media.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	_, from, err := media.ReadFromUDP(b)
	if err != nil {
		t.Fatal(err)
	}
	// What that port sends is not let in either, and the media's own answer is.
	refused := s.Stats().Refused[RefusedPacket]
	secret.WriteTo([]byte("scan"), from)
	until(t, "the answer is refused", func() bool { return s.Stats().Refused[RefusedPacket] > refused })
	media.WriteTo([]byte("welcome"), from)
	relay.SetReadDeadline(time.Now().Add(time.Minute))
	if n, _, err := relay.ReadFrom(b); err != nil || string(b[:n]) != "welcome" {
		t.Fatal(string(b[:n]), err)
	}
	if got := s.Stats(); got.PacketsOut != 1 || got.PacketsIn != 1 {
		t.Errorf("%+v", got)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		quota Quota
		plane Plane
		want  string
	}{
		"of a user":              {Quota{User: 2}, nil, RefusedQuota},
		"in total":               {Quota{Total: 2}, nil, RefusedTotal},
		"rate":                   {Quota{Rate: 2}, nil, RefusedRate},
		"of a user in the plane": {Quota{User: 2}, newTestPlane(), RefusedQuota},
		"in total in the plane":  {Quota{Total: 2}, newTestPlane(), RefusedTotal},
		"rate in the plane":      {Quota{Rate: 2}, newTestPlane(), RefusedRate},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, func(c *Config) { c.Quota, c.Plane = test.quota, test.plane })
			cred := Issue(newSecret, "bob", time.Now().Add(time.Minute))
			for i := range 3 {
				_, err := newTestClient(t, s, "udp", cred.Username, cred.Password).Allocate()
				if (err != nil) != (i == 2) {
					t.Fatal(i, err)
				}
			}
			if s.Stats().Refused[test.want] == 0 { // more than one: a client that is answered late asks again
				t.Errorf("%+v", s.Stats().Refused)
			}
		})
	}
}

func TestBandwidth(t *testing.T) {
	t.Parallel()
	peer := listenPeer(t)
	media := peer.LocalAddr().(*net.UDPAddr)
	s := open(t, func(c *Config) {
		c.Peers.Media, c.Quota.Bandwidth = []Media{same(media.String())}, 8
	})
	relay, err := newTestClient(t, s, "udp", "alice", "wonder").Allocate()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 10 { // 10 kB at once where 1 kB a second is allowed, and 4 kB at once
		if _, err := relay.WriteTo(make([]byte, 1000), media); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all were looked at", func() bool { got := s.Stats(); return got.PacketsOut+got.Refused[RefusedBandwidth] == 10 })
	if got := s.Stats(); got.PacketsOut < 3 || got.PacketsOut > 6+uint64(time.Since(began)/time.Second) {
		t.Errorf("%+v", got)
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for _, plane := range []Plane{nil, newTestPlane()} {
		s := open(t, func(c *Config) { c.Quota.Lifetime, c.Plane = 50*time.Millisecond, plane })
		if _, err := newTestClient(t, s, "udp", "alice", "wonder").Allocate(); err != nil {
			t.Fatal(err)
		}
		until(t, "the allocation's time is over", func() bool { return s.Stats().Opened == 1 && s.Stats().Allocations == 0 })
	}
}
