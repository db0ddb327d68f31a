package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

// mediaConfig is the gateway under load: its address, when its workers wake up, and whether phones share a port.
const mediaConfig = `https: {listen: "https://%[1]s:8443"}
sip: {listen: ["udp://%[1]s:5060"]}
guard: off
media: {listen: "%[1]s:40000", rtp: {ports: 10000-29999, shared: %[3]t}, tick: %[2]s}
pools:
  phones: {members: ["sip:127.0.0.10:5060"], probe: {every: 0s}}
routes:
  - {from: browsers, to: phones}
admin: {listen: "%[1]s:9090"}
log: {level: error}
`

const (
	mediaHost    = "127.0.0.20"
	mediaURL     = "wss://" + mediaHost + ":8443/sip"
	sharedHost   = "127.0.0.21"
	sharedRelay  = "tandem-sh"
	callBrowsers = 50 // WebSockets that share the calls whose packets are measured
)

func startGateway(b *testing.B, host, tick string, shared bool) *lab.Tandem {
	file := filepath.Join(b.TempDir(), "tandem.yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(mediaConfig, host, tick, shared)), 0o644); err != nil {
		b.Fatal(err)
	}
	tandem := lab.StartTandem(b, "run", "-config", file)
	lab.Eventually(b, 20*time.Second, "the gateway listens", func() error { return lab.DialTCP(host + ":8443") })
	return tandem
}

// half has every second call speak Opus, the others G.711.
func half(i int) load.Ends { return load.Both(load.Codec(i % 2)) }

// startRelays starts what is compared, until the benchmark's part ends.
func (m *mediaBench) startRelays(profile load.Profile) []*relay {
	relays := []*relay{m.tandemRelay("tandem", startGateway(m.b, mediaHost, adaptive, false), mediaURL, profile, half),
		m.rtpengineRelay(lab.StartReference(m.b), profile, half)}
	if m.shared {
		relays = append(relays, m.tandemRelay(sharedRelay, startGateway(m.b, sharedHost, adaptive, true), "wss://"+sharedHost+":8443/sip", profile, half))
	}
	if profile == load.GCM {
		goFloor, cFloor := filepath.Join(m.b.TempDir(), "floor-go"), filepath.Join(m.b.TempDir(), "floor-c")
		m.compile("go", "build", "-o", goFloor, "tandem/e2e/load/floor")
		m.compile("cc", "-O2", "-o", cFloor, "load/floor/c/floor.c")
		relays = append(relays, m.floorRelay("floor-go", goFloor, "127.0.0.5:41000"),
			m.floorRelay("floor-c", cFloor, "127.0.0.6:41000"), m.directRelay())
	}
	return relays
}

func (m *mediaBench) compile(name string, args ...string) {
	m.b.Helper()
	if out, err := exec.Command(lab.Program(m.b, name), args...).CombinedOutput(); err != nil {
		m.b.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// browsers opens WebSockets one after another, for Kamailio falls over otherwise.
func (m *mediaBench) browsers(url string, count int) (list []*load.Browser) {
	for range count {
		browser, err := m.g.DialBrowser(m.ctx, url, "127.0.0.10")
		m.must(err)
		m.b.Cleanup(browser.Close)
		list = append(list, browser)
	}
	return list
}

func (m *mediaBench) tandemRelay(name string, t *lab.Tandem, url string, profile load.Profile, ends func(i int) load.Ends) *relay {
	browsers := m.browsers(url, callBrowsers)
	return &relay{name: name, pids: []int{t.Pid()}, call: func(ctx context.Context, i int) (*load.Session, error) {
		c, err := browsers[i%len(browsers)].Call(ctx, ends(i), profile)
		if err != nil {
			return nil, err
		}
		return c.Session, nil
	}, once: once(browsers, profile)}
}

// once places a call from one of the browsers and ends it when it is up.
func once(browsers []*load.Browser, profile load.Profile) func(context.Context) error {
	var next atomic.Uint32
	return func(ctx context.Context) error {
		c, err := browsers[int(next.Add(1))%len(browsers)].Call(ctx, load.Both(load.PCMU), profile)
		if err != nil {
			return err
		}
		return c.Bye(ctx)
	}
}

func (m *mediaBench) rtpengineRelay(r *lab.Reference, profile load.Profile, ends func(i int) load.Ends) *relay {
	ng, err := load.DialNG(r.NG)
	m.must(err)
	m.b.Cleanup(ng.Close)
	return &relay{name: "rtpengine", pids: []int{r.Pid("rtpengine")}, call: func(ctx context.Context, i int) (*load.Session, error) {
		c, err := ng.Call(ctx, m.g, ends(i), profile)
		if err != nil {
			return nil, err
		}
		return c.Session, nil
	}, once: func(ctx context.Context) error {
		ng, err := load.DialNG(r.NG)
		if err != nil {
			return err
		}
		defer ng.Close()
		c, err := ng.Call(ctx, m.g, load.Both(load.PCMU), profile)
		if err != nil {
			return err
		}
		return c.Delete(ctx)
	}}
}

// floorRelay starts one of the two forwarders of e2e/load/floor.
func (m *mediaBench) floorRelay(name, program, listen string) *relay {
	cmd := exec.Command(program, listen)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	m.must(err)
	out, err := cmd.StdoutPipe()
	m.must(err)
	m.must(cmd.Start())
	m.b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	at := netip.MustParseAddrPort(listen)
	return &relay{name: name, pids: []int{cmd.Process.Pid}, call: func(_ context.Context, i int) (*load.Session, error) {
		s, err := m.g.NewSession(half(i), 0)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(in, s.BrowserAddr(), s.PhoneAddr())
		port, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		phone, err := netip.ParseAddrPort(fmt.Sprintf("%s:%s", at.Addr(), strings.TrimSpace(port)))
		s.Plain(at, phone)
		return s, err
	}}
}

// directRelay is nothing between the two ends: what the path through the kernel takes.
func (m *mediaBench) directRelay() *relay {
	return &relay{name: "direct", call: func(_ context.Context, i int) (*load.Session, error) {
		s, err := m.g.NewSession(half(i), 0)
		if err == nil {
			s.Direct()
		}
		return s, err
	}}
}
