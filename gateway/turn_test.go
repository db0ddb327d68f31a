package gateway

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"tandem/turn"
)

const relaying = least + "media: {listen: 127.0.0.1:0, rtp: {ports: 42000-42099}}\nadmin: {listen: 127.0.0.1:0}\n" +
	"turn: {listen: [udp://127.0.0.1:0, tcp://127.0.0.1:0], peers: public}\n"

func openRelaying(t *testing.T, text string) *Gateway {
	t.Helper()
	cfg, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, Options{LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	running(t, g)
	until(t, "ready", func() bool { return answer(g.AdminURL()+"/readyz") == http.StatusOK })
	return g
}

// credentials asks /ice.json as a page does.
func credentials(t *testing.T, g *Gateway) iceServer {
	t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Get(g.URLs()[0] + "/ice.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer iceAnswer
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Servers) != 2 {
		t.Fatal(err, answer)
	}
	return answer.Servers[1]
}

// TURN over TLS comes in by the port of the WebSockets, with or without ALPN; a relay reaches the media and not the SIP port.
func TestRelayOnThePortOfHTTPS(t *testing.T) {
	g := openRelaying(t, relaying)
	https := strings.TrimPrefix(g.URLs()[0], "https://")
	for name, protocols := range map[string][]string{"without ALPN": nil, "with ALPN": {"stun.turn"}} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", https, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			server := credentials(t, g)
			c, err := pion.NewClient(&pion.ClientConfig{
				TURNServerAddr: https, Conn: pion.NewSTUNConn(conn), Username: server.Username, Password: server.Credential, Realm: turnRealm,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Listen(); err != nil {
				t.Fatal(err)
			}
			relay, err := c.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			media := net.UDPAddrFromAddrPort(g.MediaAddrs()[0])
			if err := c.CreatePermission(media); err != nil {
				t.Error("the media: ", err)
			}
			for _, other := range []string{"127.0.0.2", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.2"} {
				if c.CreatePermission(&net.UDPAddr{IP: net.ParseIP(other), Port: 1}) == nil {
					t.Errorf("a permission for %s", other)
				}
			}
			before := g.figures().TURN.Refused[turn.RefusedPacket]
			if _, err := relay.WriteTo([]byte("OPTIONS sip:a SIP/2.0"), net.UDPAddrFromAddrPort(g.SIPAddrs()[0])); err != nil {
				t.Fatal(err)
			}
			until(t, "the SIP port is refused", func() bool { return g.figures().TURN.Refused[turn.RefusedPacket] > before })
			if code, body := get(t, g, "/api/turn"); code != 200 || !strings.Contains(body, `"users":{"127.0.0.1":{"allocations":`) {
				t.Error(code, body)
			}
		})
	}
	until(t, "the relays ended with their connections", func() bool { return g.figures().TURN.Allocations == 0 })
	if g.figures().SIP.MessagesIn != 0 {
		t.Error("the SIP side heard the relay")
	}
	if code, body := fetch(t, "GET", g.URLs()[0]+"/ice.json", ""); code.StatusCode != 200 || !strings.Contains(body, "turns:127.0.0.1:") {
		t.Error(code, body)
	}
}

// What clients send by their relays to the media comes there within the process; the SIP port stays out of reach. Without other peers
// relays are no sockets.
func TestRelaysWithinTheProcess(t *testing.T) {
	for name, row := range map[string]struct {
		text, network string
		listener      int
		virtual       bool
	}{
		"UDP":                  {strings.Replace(relaying, ", peers: public", "", 1), "udp", 0, true},
		"TCP":                  {strings.Replace(relaying, ", peers: public", "", 1), "tcp", 1, true},
		"UDP with other peers": {relaying, "udp", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			g, network := openRelaying(t, row.text), row.network
			media := net.UDPAddrFromAddrPort(g.MediaAddrs()[0])
			server := credentials(t, g)
			at := g.TURNAddrs()[row.listener].Addr.String()
			conn, err := net.Dial(network, at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var packets net.PacketConn = pion.NewSTUNConn(conn)
			if network == "udp" {
				if packets, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
					t.Fatal(err)
				}
				defer packets.Close()
			}
			c, err := pion.NewClient(&pion.ClientConfig{
				TURNServerAddr: at, STUNServerAddr: at, Conn: packets, Username: server.Username, Password: server.Credential, Realm: turnRealm,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Listen(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.SendBindingRequest(); err != nil {
				t.Error("STUN: ", err)
			}
			relay, err := c.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			socket, err := net.ListenUDP("udp4", relay.LocalAddr().(*net.UDPAddr))
			if (err == nil) != row.virtual || g.figures().Media.Allocations != 1 {
				t.Errorf("relay at %v: %v, %+v", relay.LocalAddr(), err, g.figures().Media)
			}
			if err == nil {
				socket.Close()
			}
			before := g.figures()
			check := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("nobody:here"), stun.Fingerprint)
			until(t, "checks come to the media by the relay, indications at first and then by a channel", func() bool {
				relay.WriteTo(check.Raw, media)
				now := g.figures()
				return now.Media.Drops["stun-unknown-ufrag"] > before.Media.Drops["stun-unknown-ufrag"]+20 &&
					now.TURN.PacketsOut > before.TURN.PacketsOut+20 && now.Media.DetouredIn > before.Media.DetouredIn+20
			})
			if _, err := relay.WriteTo([]byte("OPTIONS sip:a SIP/2.0"), net.UDPAddrFromAddrPort(g.SIPAddrs()[0])); err != nil {
				t.Fatal(err)
			}
			until(t, "the SIP port is refused", func() bool {
				return g.figures().TURN.Refused[turn.RefusedPacket] > before.TURN.Refused[turn.RefusedPacket]
			})
			if c.CreatePermission(&net.UDPAddr{IP: net.IPv4(10, 0, 2, 9), Port: 9}) == nil {
				t.Error("a permission for a stranger")
			}
			relay.Close()
			until(t, "nothing is left", func() bool { f := g.figures(); return f.TURN.Allocations == 0 && f.Media.Allocations == 0 })
			if g.figures().SIP.MessagesIn != 0 {
				t.Error("the SIP side heard a relay")
			}
		})
	}
}

// Hundreds of relays, opened and dropped by their clients in every way, leave neither an allocation nor a descriptor, with sockets or without.
func TestNothingIsLeftOfRelays(t *testing.T) {
	for name, text := range map[string]string{"sockets": relaying, "none": strings.Replace(relaying, ", peers: public", "", 1)} {
		t.Run(name, func(t *testing.T) {
			g := openRelaying(t, strings.Replace(text, "turn: {", "turn: {quota: {user: 1000, rate: 10000}, ", 1))
			server := credentials(t, g)
			files := func() int {
				list, err := os.ReadDir("/proc/self/fd")
				if err != nil {
					t.Fatal(err)
				}
				return len(list)
			}
			before := files()
			for range 5 {
				var drop []func()
				for i := range 60 {
					at := g.TURNAddrs()[i%2].Addr.String()
					var packets net.PacketConn
					if i%2 == 0 {
						udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
						if err != nil {
							t.Fatal(err)
						}
						packets = udp
					} else {
						conn, err := net.Dial("tcp", at)
						if err != nil {
							t.Fatal(err)
						}
						packets = pion.NewSTUNConn(conn)
					}
					c, err := pion.NewClient(&pion.ClientConfig{TURNServerAddr: at, Conn: packets, Username: server.Username, Password: server.Credential, Realm: turnRealm})
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Listen(); err != nil {
						t.Fatal(err)
					}
					relay, err := c.Allocate()
					if err != nil {
						t.Fatal(err)
					}
					if err := c.CreatePermission(net.UDPAddrFromAddrPort(g.MediaAddrs()[0])); err != nil {
						t.Fatal(err)
					}
					drop = append(drop, func() {
						if i%2 == 0 { // Refresh with lifetime 0; those by TCP just go
							relay.Close()
						}
						c.Close()
						packets.Close()
					})
				}
				for _, f := range drop {
					f()
				}
				until(t, "no allocation is left", func() bool { f := g.figures(); return f.TURN.Allocations == 0 && f.Media.Allocations == 0 })
			}
			until(t, "no descriptor is left", func() bool { return files() <= before+4 }) // of the test's own requests
		})
	}
}

// An IPv6 listener on all addresses stands for both families, unless IPv4 has its own.
func TestClientsOfBothFamilies(t *testing.T) {
	for text, want := range map[string]string{
		"'udp://[::]:3478'":                                     "[[::]:3478 0.0.0.0:3478]",
		"'udp://[::]:3478', udp://0.0.0.0:3478":                 "[[::]:3478 0.0.0.0:3478]",
		"'tcp://[::]:3478', udp://127.0.0.1:1":                  "[127.0.0.1:1]",
		"'udp://[::]:3478', 'tls://[::]:5349'], peers: [public": "[[::]:3478 0.0.0.0:3478]",
	} {
		cfg, err := parse(t, least+"turn: {listen: ["+text+"]}\n")
		if err != nil {
			t.Fatal(text, err)
		}
		if got := fmt.Sprint(cfg.TURN.clients()); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if (*TURN)(nil).clients() != nil {
		t.Error("no relay has clients")
	}
}

// A client that spoke HTTP goes on doing so, whatever its body looks like; a relay's connection that falls silent is closed.
func TestFirstByteDecides(t *testing.T) {
	taken := make(chan string, 1)
	_, secure := openSharedWeb(t, nil, doors{relay: func(conn net.Conn, first []byte) {
		taken <- string(first)
		go func() {
			io.WriteString(conn, "relay")
			conn.Close()
		}()
	}})
	for first, want := range map[string]string{"\x00\x01\x00\x00": "relay", "GET /sip HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": "sip HTTP/1.1"} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(secure, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, first)
		conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%q: %q %v", first, got, err)
		}
		conn.Close()
	}
	if first := <-taken; first != "\x00\x01\x00\x00" {
		t.Errorf("%q", first)
	}
}

// The guard keeps a banned address out of the relay, too, and hears of its wrong credentials.
func TestGuardOfTheRelay(t *testing.T) {
	g := openRelaying(t, relaying)
	at := g.turn.Addrs()[1].Addr.String()
	allocate := func(password string) error {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c, err := pion.NewClient(&pion.ClientConfig{
			TURNServerAddr: at, Conn: pion.NewSTUNConn(conn), Username: credentials(t, g).Username, Password: password, Realm: turnRealm,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Listen(); err != nil {
			t.Fatal(err)
		}
		_, err = c.Allocate()
		return err
	}
	if err := allocate("a guess"); err == nil || g.guard.Stats().Failures == 0 {
		t.Errorf("%v, %+v", err, g.guard.Stats())
	}
	if err := allocate(credentials(t, g).Credential); err != nil {
		t.Error(err)
	}
	g.guard.BanFor(netip.MustParseAddr("127.0.0.1"), "", time.Hour)
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes for a banned address", n)
	}
	until(t, "the connection is refused", func() bool { return g.figures().TURN.Refused[turn.RefusedBanned] == 1 })
}

func TestFaultsOfTheRelay(t *testing.T) {
	for text, want := range map[string]string{
		"turn: maybe":                                      `turn: "maybe" is not on or off, nor {listen`,
		"turn: {listen: 0.0.0.0:3478}":                     `turn.listen[0]: say how: udp://`,
		"turn: {listen: http://0.0.0.0:3478}":              `turn.listen[0]: the scheme "http" is not udp, tcp, tls or dtls`,
		"turn: {listen: ['tcp://[::]:1', 'tls://[::]:1']}": `turn.listen[1]: tcp://[::]:1 is listed twice`,
		"turn: {secret: [short]}":                          `turn.secret[0]: has 5 characters`,
		"turn: {users: /no/such/file}":                     `turn.users: stat /no/such/file`,
		"turn: {advertise: 'gw:3478'}":                     `turn.advertise: "gw:3478" is not an address`,
		"turn: {credentials: 1s}":                          `turn.credentials: 1s is not between`,
		"turn: {relay: {address: 0.0.0.0}}":                `turn.relay.address[0]: 0.0.0.0 is nobody's`,
		"turn: {relay: {ports: 20-30}}":                    `turn.relay.ports: 20-30 is not a range`,
		"turn: {relay: {ports: 20000-30000}}":              `turn.relay.ports: 20000-30000 overlaps media.rtp.ports`,
		"turn: {relay: {virtual: 20000-30000}}":            `turn.relay.virtual: 20000-30000 overlaps media.rtp.ports`,
		"turn: {relay: {virtual: 39000-65535}}":            `turn.relay.virtual: 39000-65535 has the port 40000, on which`,
		"turn: {relay: {virtual: 1-2}}":                    `turn.relay.virtual: 1-2 is not a range`,
		"turn: {peers: [private]}":                         `turn.peers[0]: "private" is not public, ADDRESS`,
		"turn: {quota: {user: 0}}":                         `turn.quota.user: 0 is not above 0`,
		"turn: {quota: {lifetime: 1s}}":                    `turn.quota.lifetime: 1s is not between`,
	} {
		if _, err := parse(t, least+text+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"turn: on", "turn: off", "turn: {secret: [0123456789abcdef, fedcba9876543210], peers: [10.0.0.1, '[2001:db8::1]:80']}"} {
		if _, err := parse(t, least+text+"\n"); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Of the default's virtual ports those ranges are left out in which the gateway has a port of its own.
func TestVirtualPortsOfTheDefault(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "[{61000 65535} {30000 32767}]",
		"media: {rtp: {ports: 30000-39999}}\n": "[{61000 65535}]",
		"media: {listen: 127.0.0.1:61000}\n":   "[{30000 32767}]",
		"media: {listen: 127.0.0.1:32768}\n":   "[{61000 65535} {30000 32767}]",
	} {
		cfg, err := parse(t, least+text+"turn: on\n")
		if err != nil {
			t.Fatal(text, err)
		}
		if got := fmt.Sprint(cfg.virtualPorts()); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, err := parse(t, least+"media: {listen: 127.0.0.1:61000, rtp: {ports: 30000-39999}}\nturn: on\n"); err == nil || !strings.Contains(err.Error(), "turn.relay.virtual: must be written") {
		t.Error(err)
	}
}

// What relays reach: the media as browsers know it, where it is.
func TestMediaPeers(t *testing.T) {
	ap := netip.MustParseAddrPort
	relay := []turn.Address{{Listen: netip.MustParseAddr("10.0.0.5")}}
	for name, c := range map[string]struct {
		media   string
		outside []netip.Addr
		want    turn.Media
	}{
		"one address":      {"10.0.0.9:40000", nil, turn.Media{Seen: ap("10.0.0.9:40000"), At: ap("10.0.0.9:40000")}},
		"advertised":       {"10.0.0.9:40000", []netip.Addr{netip.MustParseAddr("203.0.113.7")}, turn.Media{Seen: ap("203.0.113.7:40000"), At: ap("10.0.0.9:40000")}},
		"advertised, all":  {"0.0.0.0:40000", []netip.Addr{netip.MustParseAddr("203.0.113.7")}, turn.Media{Seen: ap("203.0.113.7:40000"), At: ap("10.0.0.5:40000")}},
		"all":              {"0.0.0.0:40000", nil, turn.Media{Seen: ap("10.0.0.5:40000"), At: ap("10.0.0.5:40000")}},
		"another's family": {"[2001:db8::9]:40000", []netip.Addr{netip.MustParseAddr("203.0.113.7")}, turn.Media{Seen: ap("[2001:db8::9]:40000"), At: ap("[2001:db8::9]:40000")}},
	} {
		if got := mediaPeers([]netip.AddrPort{ap(c.media)}, c.outside, relay); len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
