package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/turn/v5"

	"tandem/e2e/lab"
)

const (
	turnPeerAddr = "127.0.0.40"
	turnConfig   = `https: {listen: "https://127.0.0.20:8443"}
sip: {listen: ["udp://127.0.0.20:5060"]}
guard: off
media: {listen: "127.0.0.20:40000", rtp: {ports: 10000-19999}}
turn:
  listen: "udp://127.0.0.20:3478"
  realm: lab
  users: @USERS@
  peers: [127.0.0.40]
  quota: {user: 1000000, total: 1000000, rate: 1000000, bandwidth: 1000000}
pools:
  pbx: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: pbx, register: forward}
log: {level: error}
`
)

// turnBench is one run: Tandem's relay beside coturn.
type turnBench struct {
	b           *testing.B
	rates       []int // RATES: packets a second, half of them each way
	runs        int   // RUNS: of which the median is taken
	seconds     int   // SECONDS: of one measurement
	allocations int   // ALLOCATIONS: whose memory is measured
	servers     []turnServer
	cost        map[string]map[int][]float64
	calls       *turnCalls
	memory      map[string]float64
}

type turnServer struct {
	name, at string
	pid      int
}

// BenchmarkTURN measures what a relayed packet costs by rate, by ChannelData between clients and a foreign peer over UDP, and what one of
// a call costs more by a relay; then what allocations cost and hold. BENCHMARKS.md says what the variables are.
func BenchmarkTURN(b *testing.B) {
	s := &turnBench{b: b, rates: numbers(b, "RATES", "10000 50000 100000"), runs: number(b, "RUNS", "3"), seconds: number(b, "SECONDS", "3"), allocations: number(b, "ALLOCATIONS", "2000"),
		cost: map[string]map[int][]float64{}, memory: map[string]float64{}}
	s.start()
	s.packets()
	s.hold()
}

func (s *turnBench) start() {
	dir := s.b.TempDir()
	users, config := filepath.Join(dir, "users"), filepath.Join(dir, "tandem.yaml")
	must(s.b, os.WriteFile(users, []byte("lab:labpw\n"), 0o600))
	must(s.b, os.WriteFile(config, []byte(strings.ReplaceAll(turnConfig, "@USERS@", users)), 0o600))
	tandem := lab.StartTandem(s.b, "run", "-config", config)
	lab.Eventually(s.b, 20*time.Second, "the gateway listens", func() error { return lab.DialTCP("127.0.0.20:8443") })
	s.servers = []turnServer{{"tandem", "127.0.0.20:3478", tandem.Pid()}, {"coturn", "127.0.0.4:3478", lab.StartCoturn(s.b, "127.0.0.4")}}
	for _, server := range s.servers {
		s.cost[server.name] = map[int][]float64{}
	}
	s.calls = s.startCalls()
}

// packets has both relay the same, in turns.
func (s *turnBench) packets() {
	fmt.Printf("\nChannelData over UDP to and from a foreign peer, payload of 172 bytes; calls of the gateway's own, without and by its relay\n%-8s %9s %9s %9s\n", "", "wanted/s", "relayed/s", "µs CPU")
	for _, rate := range s.rates {
		for range s.runs {
			for _, server := range s.servers {
				relayed, each := s.relay(server, rate)
				s.cost[server.name][rate] = append(s.cost[server.name][rate], each)
				fmt.Printf("%-8s %9d %9.0f %9.2f\n", server.name, rate, relayed, each)
			}
			s.calls.measure(s, rate)
		}
		s.ratios(rate, fmt.Sprintf("-at-%d", rate))
	}
	s.ratios(s.rates[min(1, len(s.rates)-1)], "")
}

// ratios prints the figures of one rate.
func (s *turnBench) ratios(rate int, suffix string) {
	coturn := median(s.cost["coturn"][rate])
	fmt.Printf("figure cpu-per-packet-relay-vs-coturn%s %.2f 0.80\n", suffix, median(s.cost["tandem"][rate])/coturn)
	fmt.Printf("figure cpu-per-packet-short-path-vs-coturn%s %.2f 0.50\n", suffix, s.calls.more(rate)/coturn)
}

// relay sends at a rate over ten allocations and gives how many packets a second came through, and the µs of CPU of each.
func (s *turnBench) relay(server turnServer, rate int) (relayed, each float64) {
	const allocations = 10
	var clients []*turnLoad
	for range allocations {
		clients = append(clients, openLoad(s.b, server.at))
	}
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	for _, c := range clients {
		c.bind(s.b)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(s.seconds)*time.Second)
	defer stop()
	count := func() (n uint64) {
		for _, c := range clients {
			n += c.arrived.Load()
		}
		return n
	}
	arrived, begin := count(), time.Now()
	before, err := lab.CPUOf(server.pid)
	must(s.b, err)
	var running sync.WaitGroup
	for _, c := range clients {
		running.Go(func() { c.send(ctx, rate/allocations/2) })
	}
	running.Wait()
	used, err := lab.CPUOf(server.pid)
	must(s.b, err)
	n := float64(count() - arrived)
	if n == 0 {
		s.b.Fatalf("%s relayed nothing", server.name)
	}
	return n / time.Since(begin).Seconds(), float64(used.Since(before).Total.Microseconds()) / n
}

// hold opens allocations that do nothing.
func (s *turnBench) hold() {
	fmt.Printf("\n%d allocations over UDP; virtual: without other peers\n%-8s %14s %14s\n", s.allocations, "", "kB each", "each CPU s")
	for _, server := range append(s.servers, turnServer{"virtual", "127.0.0.21:3478", s.calls.plain.pids[0]}) {
		before, err := lab.MemoryOf(server.pid)
		must(s.b, err)
		cpu, err := lab.CPUOf(server.pid)
		must(s.b, err)
		var clients []*turnLoad
		for range s.allocations {
			clients = append(clients, openLoad(s.b, server.at))
		}
		after, err := lab.MemoryOf(server.pid)
		must(s.b, err)
		used, err := lab.CPUOf(server.pid)
		must(s.b, err)
		s.memory[server.name] = float64(after.PSS-before.PSS) / float64(s.allocations)
		fmt.Printf("%-8s %14.1f %14.0f\n", server.name, s.memory[server.name], float64(s.allocations)/used.Since(cpu).Total.Seconds())
		for _, c := range clients {
			c.close()
		}
	}
	fmt.Printf("figure kB-per-allocation-vs-coturn %.2f 1.00\n", s.memory["tandem"]/s.memory["coturn"])
	fmt.Printf("figure kB-per-virtual-allocation-vs-coturn %.2f 1.00\n", s.memory["virtual"]/s.memory["coturn"])
}

// turnLoad is one client with its peer. It looks into what the library sends to learn the number of its channel, and takes
// ChannelData that arrives away from it.
type turnLoad struct {
	*net.UDPConn
	server  *net.UDPAddr
	client  *pion.Client
	relay   net.PacketConn
	peer    *net.UDPConn
	channel atomic.Uint32
	arrived atomic.Uint64
}

func openLoad(b *testing.B, at string) *turnLoad {
	b.Helper()
	c := &turnLoad{server: must1(net.ResolveUDPAddr("udp4", at))(b)}
	c.UDPConn = must1(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 30)}))(b)
	c.client = must1(pion.NewClient(&pion.ClientConfig{TURNServerAddr: at, Conn: c, Username: "lab", Password: "labpw", Realm: "lab"}))(b)
	must(b, c.client.Listen())
	c.relay = must1(c.client.Allocate())(b)
	return c
}

// must1 ends the benchmark at an error, else gives the value.
func must1[T any](value T, err error) func(b *testing.B) T {
	return func(b *testing.B) T {
		b.Helper()
		must(b, err)
		return value
	}
}

// WriteTo implements net.PacketConn.
func (c *turnLoad) WriteTo(p []byte, to net.Addr) (int, error) {
	if p[0] >= 64 {
		c.channel.Store(uint32(p[0])<<8 | uint32(p[1]))
	}
	return c.UDPConn.WriteTo(p, to)
}

// ReadFrom implements net.PacketConn.
func (c *turnLoad) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(p)
		if err != nil {
			return n, nil, err
		}
		if p[0] < 64 {
			return n, net.UDPAddrFromAddrPort(from), nil
		}
		c.arrived.Add(1)
	}
}

// bind opens the peer and the channel to it.
func (c *turnLoad) bind(b *testing.B) {
	b.Helper()
	c.peer = must1(net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(turnPeerAddr)}))(b)
	go func() {
		p := make([]byte, 2000)
		for {
			if _, _, err := c.peer.ReadFromUDPAddrPort(p); err != nil {
				return
			}
			c.arrived.Add(1)
		}
	}()
	lab.Eventually(b, 10*time.Second, "the channel is bound", func() error {
		if _, err := c.relay.WriteTo(make([]byte, 172), c.peer.LocalAddr()); err != nil {
			return err
		}
		if c.channel.Load() == 0 {
			return fmt.Errorf("no ChannelData was sent")
		}
		return nil
	})
}

// send sends so many packets a second each way, in batches of a millisecond.
func (c *turnLoad) send(ctx context.Context, rate int) {
	out := make([]byte, 176)
	out[0], out[1], out[3] = byte(c.channel.Load()>>8), byte(c.channel.Load()), 172
	in, to := make([]byte, 172), c.relay.LocalAddr().(*net.UDPAddr).AddrPort()
	server := c.server.AddrPort()
	begin, sent := time.Now(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(begin).Seconds() * float64(rate)); sent < due; sent++ {
			c.WriteToUDPAddrPort(out, server)
			c.peer.WriteToUDPAddrPort(in, to)
		}
	}
}

func (c *turnLoad) close() {
	c.relay.Close()
	c.client.Close()
	c.UDPConn.Close()
	if c.peer != nil {
		c.peer.Close()
	}
}
