package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

// turnCallsConfig is a gateway whose relays reach its media alone.
const turnCallsConfig = `https: {listen: "https://127.0.0.21:8443"}
sip: {listen: ["udp://127.0.0.21:5060"]}
guard: off
media: {listen: "127.0.0.21:40000", rtp: {ports: 10000-19999}}
turn: {listen: "udp://127.0.0.21:3478", realm: lab, users: @USERS@, quota: {user: 1000000, rate: 1000000}}
pools:
  phones: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: phones}
log: {level: error}
`

// turnCalls are the calls of one gateway by its own relays, and as many without.
type turnCalls struct {
	ctx           context.Context
	g             *load.Generator
	plain, turned *relay
	cost          map[bool]map[int][]float64 // µs a packet: by a relay or not, by rate
}

func (s *turnBench) startCalls() *turnCalls {
	users, by := relayUser(s.b)
	by.Server = netip.MustParseAddrPort("127.0.0.21:3478")
	file := filepath.Join(s.b.TempDir(), "calls.yaml")
	must(s.b, os.WriteFile(file, []byte(strings.ReplaceAll(turnCallsConfig, "@USERS@", users)), 0o600))
	tandem := lab.StartTandem(s.b, "run", "-config", file)
	lab.Eventually(s.b, 20*time.Second, "the gateway listens", func() error { return lab.DialTCP("127.0.0.21:8443") })
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Minute)
	s.b.Cleanup(stop)
	g := must1(load.New(0, nil))(s.b)
	s.b.Cleanup(g.Close)
	s.b.Cleanup(must1(g.ListenPhones(netip.MustParseAddrPort("127.0.0.10:5060")))(s.b).Close)
	var browsers []*load.Browser
	for range callBrowsers {
		browser := must1(g.DialBrowser(ctx, "wss://127.0.0.21:8443/sip", "127.0.0.10"))(s.b)
		s.b.Cleanup(browser.Close)
		browsers = append(browsers, browser)
	}
	way := func(name string, of func(*load.Browser) *load.Browser) *relay {
		return &relay{name: name, pids: []int{tandem.Pid()}, call: func(ctx context.Context, i int) (*load.Session, error) {
			c, err := of(browsers[i%callBrowsers]).Call(ctx, half(i), load.GCM)
			if err != nil {
				return nil, err
			}
			return c.Session, nil
		}}
	}
	return &turnCalls{ctx: ctx, g: g,
		plain:  way("call", func(b *load.Browser) *load.Browser { return b }),
		turned: way("by TURN", func(b *load.Browser) *load.Browser { return b.Through(by) }),
		cost:   map[bool]map[int][]float64{false: {}, true: {}}}
}

// measure has as many calls as make the rate speak, without relays and with them.
func (c *turnCalls) measure(s *turnBench, rate int) {
	calls := max(1, rate/100)
	for i, r := range []*relay{c.plain, c.turned} {
		must(s.b, r.grow(c.ctx, calls))
		got, err := r.measure(c.ctx, c.g, load.Load{Sessions: r.sessions[:calls], Warm: 300 * time.Millisecond, Duration: time.Duration(s.seconds) * time.Second})
		must(s.b, err)
		c.cost[i == 1][rate] = append(c.cost[i == 1][rate], got.cost)
		fmt.Printf("%-8s %9d %9.0f %9.2f   loss %.3f %%, others used %.1f CPUs\n", r.name, rate, got.rate, got.cost, 100*got.loss, got.others)
		if got.sent < 0.95*float64(rate) {
			fmt.Printf("%-8s %9d  tells nothing: the generator sent %.0f packets/s, for the machine is too busy\n", r.name, rate, got.sent)
		}
	}
	if faults := c.g.Faults(); faults != (load.Faults{}) {
		s.b.Fatalf("wrong packets: %+v, the first: %v", faults, c.g.FirstFault())
	}
}

// more is what a packet costs more by a relay than without, in µs.
func (c *turnCalls) more(rate int) float64 {
	return median(c.cost[true][rate]) - median(c.cost[false][rate])
}
