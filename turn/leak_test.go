package turn

import (
	"net"
	"runtime"
	"strings"
	"testing"

	pion "github.com/pion/turn/v5"
)

// Two thousand allocations, opened and dropped, leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	s := open(t, func(c *Config) { c.Quota = Quota{User: 1000, Rate: 10000} })
	for range 20 {
		var relays []net.PacketConn
		var closers []net.PacketConn
		for i := range 100 {
			network := []string{"udp", "tcp"}[i%2]
			relay, err := dropping(t, s, network, &closers)
			if err != nil {
				t.Fatal(err)
			}
			relays = append(relays, relay)
		}
		for i, relay := range relays {
			if i%2 == 0 { // UDP: by Refresh with lifetime 0
				relay.Close()
			}
		}
		until(t, "allocations by UDP have ended", func() bool { return s.Stats().Allocations <= 50 })
		for _, conn := range closers {
			conn.Close()
		}
		until(t, "the allocations by TCP ended with their connections", func() bool { return s.Stats().Connections == 0 })
	}
	s.Close()
	until(t, "no goroutine of a server is left", func() bool { return ofServers() == 0 })
	if got := s.Stats(); got.Allocations != 0 || got.Opened != 2000 {
		t.Errorf("%+v", got)
	}
}

// dropping opens an allocation whose transport the test closes itself.
func dropping(t *testing.T, s *Server, network string, closers *[]net.PacketConn) (net.PacketConn, error) {
	t.Helper()
	i := map[string]int{"udp": 0, "tcp": 1}[network]
	at := s.Addrs()[i].Addr.String()
	conn := dial(t, s, network)
	*closers = append(*closers, conn)
	c, err := pion.NewClient(&pion.ClientConfig{TURNServerAddr: at, Conn: conn, Username: "alice", Password: "wonder", Realm: "tandem"})
	if err != nil {
		return nil, err
	}
	if err := c.Listen(); err != nil {
		return nil, err
	}
	return c.Allocate()
}

// ofServers counts the goroutines that serve clients or relay; those of the test's own clients are not among them.
func ofServers() int {
	b := make([]byte, 16<<20)
	count := 0
	for stack := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(stack, "pion/turn/v5.(*Server)") || strings.Contains(stack, "v5/internal/allocation") || strings.Contains(stack, "tandem/turn.(*Server)") {
			count++
		}
	}
	return count
}
