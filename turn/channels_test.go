package turn

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Once a channel is bound packets of every length pass it both ways, over each transport.
func TestChannels(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp", "tls", "dtls"} {
		t.Run(network, func(t *testing.T) {
			peer := listenPeer(t)
			media := peer.LocalAddr().(*net.UDPAddr)
			s := open(t, func(c *Config) { c.Peers.Media = []Media{same(media.String())} })
			relay, err := newTestClient(t, s, network, "alice", "wonder").Allocate()
			if err != nil {
				t.Fatal(err)
			}
			relay.SetReadDeadline(time.Now().Add(time.Minute))
			b := make([]byte, 2000)
			pass := func(payload []byte) {
				t.Helper()
				if _, err := relay.WriteTo(payload, media); err != nil {
					t.Fatal(err)
				}
				n, from, err := peer.ReadFromUDP(b)
				if err != nil || !bytes.Equal(b[:n], payload) {
					t.Fatalf("%d bytes to the peer: %q %v", len(payload), b[:n], err)
				}
				peer.WriteTo(payload, from)
				if n, _, err = relay.ReadFrom(b); err != nil || !bytes.Equal(b[:n], payload) {
					t.Fatalf("%d bytes to the client: %q %v", len(payload), b[:n], err)
				}
			}
			pass([]byte("by indications"))
			until(t, "the channel is bound", func() bool { return s.onlyRelay(t).channels.Load() != nil })
			for size := range 40 {
				pass(bytes.Repeat([]byte{byte(size)}, size+1))
			}
			pass(make([]byte, 1200))
		})
	}
}

func (s *Server) onlyRelay(t *testing.T) *relay {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.relays {
		return r
	}
	t.Fatal("there is no relay")
	return nil
}

// Bindings come and go as pion says; one to a peer that is not open is none.
func TestBindings(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort
	a, b := at("192.0.2.1:1"), at("192.0.2.1:2")
	r := &relay{server: newServer(Config{Peers: Peers{Media: []Media{same(a.String()), same(b.String())}}})}
	r.bind(0x4000, a)
	r.bind(0x4001, b)
	r.bind(0x4002, at("192.0.2.1:3"))
	if one := r.byNumber(0x4001); one == nil || one.peer != b || r.byPeer(a).number != 0x4000 || r.byNumber(0x4002) != nil {
		t.Errorf("%+v", r.bound())
	}
	r.unbind(0x4001, b)
	if r.byNumber(0x4001) != nil || r.byPeer(b) != nil || r.byNumber(0x4000) == nil {
		t.Errorf("%+v", r.bound())
	}
}

// As much passes as the rate says, and a quarter of a second at once; the zero limit lets everything pass.
func TestLimit(t *testing.T) {
	t.Parallel()
	var l limit
	if !l.allow(1, 1<<30) {
		t.Error("no limit is one")
	}
	l.set(800) // 100 kB a second
	passed := 0
	for now := int64(1e12); now < 1e12+2e9; now += 1e6 {
		if l.allow(now, 1000) {
			passed++
		}
	}
	if passed < 224 || passed > 226 {
		t.Errorf("%d kB passed in two seconds", passed)
	}
	var slow limit
	slow.set(1)
	if !slow.allow(5, 4096) || slow.allow(5, 1) {
		t.Error("two large packets, and no more, may come at once")
	}
}
