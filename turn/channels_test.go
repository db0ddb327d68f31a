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
			relay.SetReadDeadline(time.Now().Add(20 * time.Second))
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

// A binding ends in its time, and makes place for another of its number or its peer.
func TestBindings(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort
	now := time.Now()
	r := &relay{}
	peerOf := func(number uint16, now time.Time) string {
		if one := r.channel(now, func(c *channel) bool { return c.number == number }); one != nil {
			return one.peer.String()
		}
		return ""
	}
	a, b := at("192.0.2.1:1"), at("192.0.2.2:2")
	r.bind(0x4000, a, a, now)
	r.bind(0x4001, b, b, now)
	if peerOf(0x4000, now) != a.String() || peerOf(0x4001, now) != b.String() || peerOf(0x4002, now) != "" {
		t.Error("two bindings are not as they were made")
	}
	later := now.Add(channelLife - time.Second)
	r.bind(0x4000, a, a, later) // a refresh
	over := now.Add(channelLife)
	if peerOf(0x4000, over) != a.String() || peerOf(0x4001, over) != "" {
		t.Error("the refreshed one ended, or the other did not")
	}
	r.bind(0x4001, a, a, over.Add(channelLife))
	if peerOf(0x4001, over.Add(channelLife)) != a.String() || len(*r.channels.Load()) != 1 {
		t.Error("what is over takes the place of the new")
	}
}
