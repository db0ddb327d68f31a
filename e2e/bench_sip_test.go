package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

const (
	sipRelay  = "127.0.0.20" // the gateway that has the media of calls pass through
	sipDirect = "127.0.0.21" // the one by which it goes from peer to peer, as by a proxy
	sipProxy  = "127.0.0.2:5060"
	sipCaller = "127.0.0.30"
	sipCallee = "127.0.0.31"

	// sipConfig is a gateway's, at HOST and with MEDIA of that kind.
	sipConfig = `https: {listen: "https://HOST:8443", limits: {per-address: 100000}}
sip: {listen: ["udp://HOST:5060"]}
guard: off
media: {listen: "HOST:40000", rtp: {ports: 10000-39999}}
pools:
  phones: {members: ["sip:127.0.0.31:5060"], probe: {every: 0s}, media: MEDIA}
  registrar: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
trunks:
  carrier: {uri: "sip:127.0.0.30:5060", hide: false, media: MEDIA}
routes:
  - {from: carrier, to: phones}
  - {from: browsers, to: registrar, register: forward}
admin: {listen: "HOST:9090"}
log: {level: error}
`
)

// sipBench is one run: what SIP alone costs.
type sipBench struct {
	b       *testing.B
	rates   []int         // RATES: calls a second
	runs    int           // RUNS: of which the median is taken
	seconds time.Duration // SECONDS: of one measurement
	sockets int           // SOCKETS: registered browsers
	wait    time.Duration // WAIT: seconds before memory is read
	figures []string
}

// BenchmarkSIP measures calls of a trunk to a pool over UDP beside Kamailio, the memory of registered browsers that do nothing, and
// what happens when all of them come back at once. BENCHMARKS.md says what the variables are.
func BenchmarkSIP(b *testing.B) {
	s := &sipBench{b: b, rates: numbers(b, "RATES", "100 300"), runs: number(b, "RUNS", "3"), sockets: number(b, "SOCKETS", "10000"),
		seconds: time.Duration(number(b, "SECONDS", "5")) * time.Second, wait: time.Duration(number(b, "WAIT", "60")) * time.Second}
	b.Run("calls", func(b *testing.B) { s.b = b; s.calls() })
	b.Run("browsers", func(b *testing.B) { s.b = b; s.browsers() })
	for _, line := range s.figures {
		fmt.Println(line)
	}
}

func variable(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// number is a variable's value, from 1 on.
func number(b *testing.B, name, otherwise string) int {
	all := numbers(b, name, otherwise)
	if len(all) != 1 {
		b.Fatalf("%s: %q is not one number", name, os.Getenv(name))
	}
	return all[0]
}

// numbers are those of a variable, each from 1 on.
func numbers(b *testing.B, name, otherwise string) (all []int) {
	for _, word := range strings.Fields(variable(name, otherwise)) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			b.Fatalf("%s: %q is not a number from 1 on", name, word)
		}
		all = append(all, n)
	}
	return all
}

func (s *sipBench) gateway(host, media string) *lab.Tandem {
	file := filepath.Join(s.b.TempDir(), "tandem.yaml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("HOST", host, "MEDIA", media).Replace(sipConfig)), 0o644); err != nil {
		s.b.Fatal(err)
	}
	tandem := lab.StartTandem(s.b, "run", "-config", file)
	lab.Eventually(s.b, 20*time.Second, "the gateway listens", func() error { return lab.DialTCP(host + ":8443") })
	return tandem
}

// calls has sipp call sipp, INVITE to BYE, through each in turns: a gateway that carries no media, as Kamailio does not, one that opens
// two media legs for each call, and Kamailio.
func (s *sipBench) calls() {
	direct, relay := s.gateway(sipDirect, "direct"), s.gateway(sipRelay, "relay")
	proxy := lab.StartProxy(s.b, sipProxy, sipCallee+":5060")
	fmt.Printf("\nwhole calls over UDP, INVITE to BYE, sipp to sipp\n%-14s %8s %10s %9s\n", "", "calls/s", "µs CPU", "calls")
	for _, rate := range s.rates {
		cost := map[string][]float64{}
		for range s.runs {
			for _, r := range []struct {
				name, at string
				pid      int
			}{
				{"tandem direct", sipDirect + ":5060", direct.Pid()}, {"tandem relay", sipRelay + ":5060", relay.Pid()},
				{"kamailio", sipProxy, proxy.Pid("kamailio")},
			} {
				each := s.sipp(r.at, r.pid, rate)
				cost[r.name] = append(cost[r.name], each)
				fmt.Printf("%-14s %8d %10.0f %9d\n", r.name, rate, each, s.count(rate))
			}
		}
		s.figure("cpu-per-sip-call-vs-kamailio", median(cost["tandem direct"])/median(cost["kamailio"]), "1.50")
		s.figure("cpu-per-relayed-sip-call-vs-kamailio", median(cost["tandem relay"])/median(cost["kamailio"]), "1.50")
	}
}

func (s *sipBench) count(rate int) int { return rate * int(s.seconds/time.Second) }

// sipp places calls at a rate and gives the µs of CPU that a process and its children used for each; every call has to go by the
// scenario.
func (s *sipBench) sipp(at string, pid, rate int) float64 {
	count := s.count(rate)
	callee := lab.StartSipp(s.b, "brief-callee", sipCallee, "", count, "-timeout", "60s", "-timeout_error")
	before, err := lab.CPUOf(pid)
	must(s.b, err)
	caller := lab.StartSipp(s.b, "brief-caller", sipCaller, at, count, "-r", strconv.Itoa(rate), "-d", "100", "-l", "9000", "-timeout", "60s", "-timeout_error")
	caller.Wait(s.b)
	after, err := lab.CPUOf(pid)
	must(s.b, err)
	callee.Wait(s.b)
	return float64(after.Since(before).Total.Microseconds()) / float64(count)
}

// figure keeps a line for the end.
func (s *sipBench) figure(name string, value float64, target string) {
	s.figures = append(s.figures, fmt.Sprintf("figure %s %.2f %s", name, value, target))
}

const atOnce = 64 // browsers in the middle of their handshake

// browsers registers all, reads the memory that they take at rest, and has them come back at once.
func (s *sipBench) browsers() {
	pbx, err := siptest.NewPBX(siptest.PBXConfig{Listen: netip.MustParseAddrPort("127.0.0.10:5060"), AnyUser: true})
	must(s.b, err)
	defer pbx.Close()
	tandem := s.gateway(sipRelay, "relay")
	empty, err := lab.MemoryOf(tandem.Pid())
	must(s.b, err)
	tabs := make([]*wsstest.Browser, s.sockets)
	failures, _ := s.register(tabs)
	fmt.Printf("\n%d browsers registered over WSS, %d failed\n", s.sockets, failures)
	<-time.After(s.wait)
	full, err := lab.MemoryOf(tandem.Pid())
	must(s.b, err)
	s.figure("kB-per-idle-wss", float64(full.PSS-empty.PSS)/float64(s.sockets), "20")
	for _, tab := range tabs {
		if tab != nil {
			tab.Close()
		}
	}
	failures, took := s.register(tabs)
	fmt.Printf("%d came back, %d TLS handshakes at once: %d failed, %.0f registrations a second\n", s.sockets, atOnce, failures,
		float64(s.sockets)/took.Seconds())
	s.figure("register-storm-failures", float64(failures), "0")
	for _, tab := range tabs {
		if tab != nil {
			tab.Close()
		}
	}
}

// register dials and registers each tab, many at once.
func (s *sipBench) register(tabs []*wsstest.Browser) (failures int, took time.Duration) {
	began := time.Now()
	var next, failed atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(tabs)); i = next.Add(1) - 1 {
				if err := s.registerOne(&tabs[i], int(i)); err != nil && failed.Add(1) <= 3 {
					fmt.Printf("browser %d: %v\n", i, err)
				}
			}
		})
	}
	all.Wait()
	return int(failed.Load()), time.Since(began)
}

func (s *sipBench) registerOne(tab **wsstest.Browser, i int) error {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	options := wsstest.Options{Domain: "example.com", Instance: fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", i), Expires: 600}
	dialed, err := wsstest.Dial(ctx, "wss://127.0.0.20:8443/sip", options)
	*tab = dialed
	if err != nil {
		return err
	}
	_, err = dialed.Register(ctx, fmt.Sprintf("u%d", i), "")
	return err
}
