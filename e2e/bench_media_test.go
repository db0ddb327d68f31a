package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
	"tandem/e2e/load"
)

// BenchmarkMedia loads Tandem, rtpengine and two forwarders that encrypt nothing with the same calls, in turns in one run.
// BENCHMARKS.md says what it prints and what its variables are.
func BenchmarkMedia(b *testing.B) {
	newMediaBench(b, "100 500 1000", nil).run()
}

// mediaParameters are a run's size.
type mediaParameters struct {
	calls   []int         // CALLS: at how many calls packets are measured
	runs    int           // RUNS: of which the median is taken
	seconds time.Duration // SECONDS: of one measurement
	wait    time.Duration // WAIT: seconds between set-up and a reading of memory
	parts   []string      // PARTS: of the benchmark
	shared  bool          // SHARED: media.rtp.shared too
}

func mediaParametersFrom(env func(string) string, calls string) (p mediaParameters, err error) {
	text := func(name, otherwise string) string {
		if v := env(name); v != "" {
			return v
		}
		return otherwise
	}
	for _, word := range strings.Fields(text("CALLS", calls)) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 5000 {
			return p, fmt.Errorf("CALLS: %q is not a number from 1 to 5000", word)
		}
		p.calls = append(p.calls, n)
	}
	if p.runs, err = strconv.Atoi(text("RUNS", "5")); err != nil || p.runs < 1 {
		return p, fmt.Errorf("RUNS: %q is not a number from 1 on", env("RUNS"))
	}
	if p.seconds, err = time.ParseDuration(text("SECONDS", "2") + "s"); err != nil || p.seconds <= 0 {
		return p, fmt.Errorf("SECONDS: %q is not a positive number", env("SECONDS"))
	}
	if p.wait, err = time.ParseDuration(text("WAIT", "60") + "s"); err != nil || p.wait < 0 {
		return p, fmt.Errorf("WAIT: %q is not a number", env("WAIT"))
	}
	if p.shared, err = strconv.ParseBool(text("SHARED", "0")); err != nil {
		return p, fmt.Errorf("SHARED: %q is neither 0 nor 1", env("SHARED"))
	}
	const all = "gcm sha1 ticks memory calls overload"
	for _, part := range strings.Fields(text("PARTS", all)) {
		if !slices.Contains(strings.Fields(all), part) {
			return p, fmt.Errorf("PARTS: %q is none of %s", part, all)
		}
		p.parts = append(p.parts, part)
	}
	slices.Sort(p.calls)
	return p, nil
}

// mediaBench is one run.
type mediaBench struct {
	mediaParameters
	b       *testing.B
	ctx     context.Context
	g       *load.Generator
	phones  *load.Phones
	figures []string
}

func newMediaBench(b *testing.B, calls string, voices load.Voices) *mediaBench {
	m := &mediaBench{b: b}
	var err error
	if m.mediaParameters, err = mediaParametersFrom(os.Getenv, calls); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Minute)
	b.Cleanup(stop)
	m.ctx = ctx
	if m.g, err = load.New(0, voices); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.g.Close)
	if m.phones, err = m.g.ListenPhones(netip.MustParseAddrPort("127.0.0.10:5060")); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.phones.Close)
	return m
}

func (m *mediaBench) must(err error) {
	m.b.Helper()
	if err != nil {
		m.b.Fatal(err)
	}
}

// figure keeps a line for the end.
func (m *mediaBench) figure(name string, value float64, target string) {
	m.figures = append(m.figures, fmt.Sprintf("figure %s %.2f %s", name, value, target))
}

func (m *mediaBench) run() {
	m.part("gcm", func() { m.packets(load.GCM) })
	m.part("sha1", func() { m.packets(load.SHA1) })
	m.part("ticks", m.ticks)
	m.part("memory", m.memory)
	m.part("calls", m.wholeCalls)
	m.part("overload", m.overload)
	for _, line := range m.figures {
		fmt.Println(line)
	}
}

// part runs a part that was asked for; what it starts ends with it.
func (m *mediaBench) part(name string, do func()) {
	if !slices.Contains(m.parts, name) {
		return
	}
	whole := m.b
	whole.Run(name, func(b *testing.B) {
		m.b = b
		do()
	})
	m.b = whole
	if whole.Failed() {
		whole.FailNow()
	}
}

// packets measures what a relayed packet costs, at each number of calls.
func (m *mediaBench) packets(profile load.Profile) {
	relays := m.startRelays(profile)
	fmt.Printf("\n%s: 20 ms packets in both directions, half of the calls G.711, half Opus\n", profileTitle(profile))
	printColumns()
	for _, n := range m.calls {
		for _, r := range relays {
			m.must(r.grow(m.ctx, n))
		}
		m.ratios(profile, n, m.compare(relays, n, m.runs))
		if profile == load.GCM && n == m.latencyCalls() {
			m.whileSettingUp(relays, n)
		}
	}
	if profile == load.GCM {
		m.ceiling(relays)
	}
}

func printColumns() {
	fmt.Printf("%-12s %6s %9s %9s %8s %8s %8s %8s %8s %8s %8s\n",
		"relay", "calls", "packets/s", "µs/packet", "user", "system", "p50 ms", "p99 ms", "loss %", "others", "load µs")
}

// grow sets calls up until there are so many.
func (r *relay) grow(ctx context.Context, calls int) error {
	for len(r.sessions) < calls {
		s, err := r.call(ctx, len(r.sessions))
		if err != nil {
			return fmt.Errorf("%s: call %d: %w", r.name, len(r.sessions), err)
		}
		r.sessions = append(r.sessions, s)
	}
	return nil
}

func profileTitle(p load.Profile) string {
	if p == load.GCM {
		return "AEAD_AES_128_GCM"
	}
	return "AES_CM_128_HMAC_SHA1_80"
}

// compare measures each relay in turns and prints the medians.
func (m *mediaBench) compare(relays []*relay, calls, runs int) map[string]sample {
	samples := map[string][]sample{}
	for run := range runs {
		for i := range relays {
			r := relays[(i+run)%len(relays)]
			if r.name == "direct" && run > 0 {
				continue
			}
			s, err := r.measure(m.ctx, m.g, load.Load{Sessions: r.sessions[:calls], Warm: 300 * time.Millisecond, Duration: m.seconds})
			m.must(err)
			samples[r.name] = append(samples[r.name], s)
		}
	}
	medians := map[string]sample{}
	for _, r := range relays {
		s := medianSample(samples[r.name])
		medians[r.name] = s
		fmt.Printf("%-12s %6d %9.0f %9.2f %8.2f %8.2f %8.3f %8.3f %8.3f %8.2f %8.2f\n",
			r.name, calls, s.rate, s.cost, s.cost*(1-s.system), s.cost*s.system, s.p50, s.p99, 100*s.loss, s.others, s.generator)
		if asked := float64(2*calls) * 50; s.sent < 0.95*asked || s.sent > 1.05*asked {
			fmt.Printf("%-12s %6d  tells nothing: the generator sent %.0f packets/s instead of %.0f, for the machine is too busy\n", r.name, calls, s.sent, asked)
		}
	}
	if faults := m.g.Faults(); faults != (load.Faults{}) {
		fmt.Printf("wrong packets so far: %+v, the first: %v\n", faults, m.g.FirstFault())
	}
	return medians
}

// ratios prints what the targets are about, and keeps the worst as figures.
func (m *mediaBench) ratios(profile load.Profile, calls int, s map[string]sample) {
	m.ratiosOf("tandem", "", profile, calls, s)
	if m.shared {
		m.ratiosOf(sharedRelay, "-shared", profile, calls, s)
	}
}

// ratiosOf does so for one way to configure Tandem; suffix is its figures'.
func (m *mediaBench) ratiosOf(name, suffix string, profile load.Profile, calls int, s map[string]sample) {
	vs := func(other string) float64 { return s[name].cost / s[other].cost }
	added := s[name].p99 - s["direct"].p99
	fmt.Printf("%-12s %6d  %s/rtpengine %.2f", "ratio", calls, name, vs("rtpengine"))
	if profile == load.GCM {
		fmt.Printf("  /floor-go %.2f  /floor-c %.2f  added p50 %.3f ms p99 %.3f ms", vs("floor-go"), vs("floor-c"), s[name].p50-s["direct"].p50, added)
	}
	fmt.Println()
	if calls == 500 || calls == 1000 {
		if profile == load.GCM {
			m.worst("cpu-per-packet-gcm-vs-rtpengine"+suffix, vs("rtpengine"), "0.45")
			m.worst("cpu-per-packet-gcm-vs-floor"+suffix, vs("floor-go"), "1.30")
			if calls == 500 {
				m.figure("latency-p99-ms"+suffix, added, "1.5")
			}
		} else {
			m.worst("cpu-per-packet-sha1-vs-rtpengine"+suffix, vs("rtpengine"), "0.50")
		}
	}
}

// worst is figure for a name that comes more than once: the largest value stays.
func (m *mediaBench) worst(name string, value float64, target string) {
	for i, line := range m.figures {
		f := strings.Fields(line)
		if f[1] == name {
			if old, _ := strconv.ParseFloat(f[2], 64); old < value {
				m.figures[i] = fmt.Sprintf("figure %s %.2f %s", name, value, target)
			}
			return
		}
	}
	m.figure(name, value, target)
}

// relay is something that packets cross, in processes of its own.
type relay struct {
	name     string
	pids     []int
	call     func(ctx context.Context, i int) (*load.Session, error)
	once     func(ctx context.Context) error // sets a call up and ends it; nil of what has no set-up
	sessions []*load.Session
}

// sample is one measurement; as a median, of each field by itself.
type sample struct {
	sent, rate   float64 // packets a second, those that arrived
	cost, system float64 // µs a packet, share of it in the kernel
	p50, p99     float64 // ms
	loss         float64
	others       float64 // CPUs that neither the relay nor this process used
	generator    float64 // its own µs a packet
}

func (r *relay) measure(ctx context.Context, g *load.Generator, l load.Load) (s sample, err error) {
	var before, after reading
	var errBefore, errAfter error
	l.Begun = func() { before, errBefore = r.read() }
	l.Ended = func() { after, errAfter = r.read() }
	result, err := g.Run(ctx, l)
	if err = errors.Join(err, errBefore, errAfter); err != nil {
		return s, err
	}
	used := after.relay.Since(before.relay)
	own := after.own.Since(before.own).Total
	each := func(d time.Duration) float64 {
		return float64(d.Nanoseconds()) / 1e3 / float64(max(result.Received, 1))
	}
	return sample{
		sent: result.Rate(),
		rate: float64(result.Received) / result.Duration.Seconds(), cost: each(used.Total), system: used.System(), generator: each(own),
		p50:    milliseconds(result.Latency.Quantile(0.5)),
		p99:    milliseconds(result.Latency.Quantile(0.99)),
		loss:   result.Loss(),
		others: max(0, float64(after.machine-before.machine-own-used.Total)/float64(after.at.Sub(before.at))),
	}, nil
}

// reading is the accounts at one time.
type reading struct {
	at         time.Time
	relay, own lab.CPU
	machine    time.Duration
}

func (r *relay) read() (now reading, err error) {
	now.at = time.Now()
	if now.relay, err = lab.CPUOf(r.pids...); err != nil {
		return now, err
	}
	if now.own, err = lab.CPUOfAlone(os.Getpid()); err != nil {
		return now, err
	}
	now.machine, err = lab.MachineCPU()
	return now, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func medianSample(list []sample) sample {
	of := func(field func(sample) float64) float64 {
		values := make([]float64, len(list))
		for i, s := range list {
			values[i] = field(s)
		}
		return median(values)
	}
	return sample{
		sent: of(func(s sample) float64 { return s.sent }),
		rate: of(func(s sample) float64 { return s.rate }), cost: of(func(s sample) float64 { return s.cost }),
		system: of(func(s sample) float64 { return s.system }), p50: of(func(s sample) float64 { return s.p50 }),
		p99: of(func(s sample) float64 { return s.p99 }), loss: of(func(s sample) float64 { return s.loss }),
		others: of(func(s sample) float64 { return s.others }), generator: of(func(s sample) float64 { return s.generator }),
	}
}
