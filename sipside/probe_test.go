package sipside

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestStreakVerdict(t *testing.T) {
	p := Probe{DownAfter: 3, UpAfter: 2}
	h, down := streak{}, false
	for i, step := range []struct{ answered, down bool }{
		{true, false}, {false, false}, {false, false}, {true, false}, // an answer in between begins anew
		{false, false}, {false, false}, {false, true}, {false, true},
		{true, true}, {false, true}, {true, true}, {true, false}, {false, false},
	} {
		if down = h.verdict(down, step.answered, p); down != step.down {
			t.Errorf("step %d: down is %v", i, down)
		}
	}
}

// moody answers each request with a status that can be changed; 0 is silence.
func moody(t *testing.T) (*datagramPeer, *atomic.Int32) {
	peer := newDatagramPeer(t, "127.0.0.1")
	status := &atomic.Int32{}
	go func() {
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := peer.sock.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if s := int(status.Load()); s != 0 && strings.HasPrefix(string(buf[:n]), "OPTIONS") {
				_, _ = peer.sock.WriteToUDPAddrPort([]byte(answerTo(t, string(buf[:n]), s, "Mood")), from)
			}
		}
	}()
	return peer, status
}

// probing waits for answers as long as a busy machine may need.
func probing(every time.Duration) Probe {
	return Probe{Every: every, Timeout: 500 * time.Millisecond, DownAfter: 2, UpAfter: 2}
}

func probedPool(t *testing.T, every time.Duration, peers ...*datagramPeer) Config {
	pool := PoolConfig{Name: "pbx", Probe: probing(every)}
	for _, p := range peers {
		pool.Members = append(pool.Members, Member{URI: uri(t, "sip:"+p.at.String())})
	}
	return Config{Pools: []PoolConfig{pool}}
}

func TestProbesFindMembersDownAndUp(t *testing.T) {
	t.Parallel()
	steady, ok := moody(t)
	ok.Store(404) // any answer is one
	ill, status := moody(t)
	status.Store(200)
	cfg := probedPool(t, 20*time.Millisecond, steady, ill)
	cfg.Pools[0].Probe.Timeout = 2 * time.Second // a busy machine is slow, too
	d := openDoor(t, cfg, testLimits())
	b := d.Backend("pbx/" + ill.at.String())
	eventually(t, "a latency is known", func() bool { return b.stats().Latency > 0 })
	if !b.Alive() {
		t.Error("a member that answers is down")
	}
	for _, silence := range []int32{0, 503, 408} {
		status.Store(silence)
		eventually(t, "the member is down", func() bool { return !b.Alive() })
		if order := d.Pool("pbx").Order(nil); order[0] == b || order[1] != b {
			t.Error("a dead member is not the last resort")
		}
		status.Store(200)
		eventually(t, "the member is up", b.Alive)
	}
	if !d.Backend("pbx/" + steady.at.String()).Alive() {
		t.Error("a member that answers 404 is down")
	}
	eventually(t, "the last change is logged", func() bool { return d.log.count("backend is up") >= 3 })
	if down, up := d.log.count("backend is down"), d.log.count("backend is up"); down != 3 || up != 3 {
		t.Errorf("%d downs and %d ups in the log: a change is logged once", down, up)
	}
	if s := d.Stats(); s.Backends[0].Requests != 0 || s.Backends[1].Alive != true {
		t.Errorf("probes are counted as requests: %+v", s.Backends)
	}
}

func TestProbeMessage(t *testing.T) {
	peer := newDatagramPeer(t, "127.0.0.1")
	d := openDoor(t, probedPool(t, time.Hour, peer), testLimits())
	text, from := peer.read()
	if from != d.Addrs()[0] || !strings.HasPrefix(text, "OPTIONS sip:"+peer.at.String()+" SIP/2.0\r\n") {
		t.Errorf("%q", text)
	}
	for name, want := range map[string]string{
		"Max-Forwards": "70", "Accept": "application/sdp", "To": "<sip:127.0.0.1>",
		"Contact": "<sip:tandem@" + from.String() + ">",
	} {
		if got := header(text, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(header(text, "From"), ";tag=") {
		t.Errorf("From %q", header(text, "From"))
	}
}

func TestSuspectCountsAndProbesAtOnce(t *testing.T) {
	peer, status := moody(t)
	status.Store(200)
	d := openDoor(t, probedPool(t, time.Hour, peer), testLimits())
	b := d.Backend("pbx/" + peer.at.String())
	eventually(t, "the first probe is answered", func() bool { return b.stats().Latency > 0 })
	status.Store(0)
	b.Suspect()
	if !b.Alive() {
		t.Error("one suspicion of two put it aside")
	}
	b.Suspect()
	if b.Alive() || b.State() != "resting" || b.stats().Reason != "no answers" {
		t.Errorf("two suspicions left it %s: %+v", b.State(), b.stats())
	}
	eventually(t, "the suspicion made it probe", func() bool { return d.log.count("backend rests") == 1 && d.Stats().MessagesOut >= 2 })
}

// A trunk is probed where its configuration says so. What changes there has its effect at once: what an older probe found is not held
// against a trunk that is probed no more.
func TestProbesOfATrunk(t *testing.T) {
	t.Parallel()
	peer, status := moody(t)
	status.Store(500)
	cfg := trunk(t, "sip:"+peer.at.String())
	cfg.Listen = []Listen{{Network: "udp", Addr: anyPort}}
	patient := func(every time.Duration) Probe { // a busy machine is silent for more than half a second
		p := probing(every)
		p.Timeout = time.Minute
		return p
	}
	cfg.Trunks[0].Probe = patient(time.Hour)
	d := openDoor(t, cfg, testLimits())
	b := d.Backend("pbx")
	eventually(t, "the first probe is answered", func() bool { return b.stats().Latency > 0 })
	status.Store(503)
	reload := func(p Probe) {
		cfg.Trunks[0].Probe = p
		settle, err := d.Reload(cfg)
		if err != nil {
			t.Fatal(err)
		}
		settle()
	}
	reload(patient(20 * time.Millisecond))
	eventually(t, "the trunk is down", func() bool { return b.State() == "down" })
	if why := b.stats().Reason; why != "the answer is 503" {
		t.Errorf("it is down because %q", why)
	}
	eventually(t, "the log says why", func() bool { return d.log.count(`failures=2 error="the answer is 503"`) == 1 })
	reload(Probe{})
	eventually(t, "nobody looks, and it counts as up", func() bool { return b.State() == "up" && b.stats().Latency == 0 })
}

// A port where nobody listens is told from silence.
func TestProbeOfAClosedPort(t *testing.T) {
	t.Parallel()
	peer := newDatagramPeer(t, "127.0.0.1")
	if err := peer.sock.Close(); err != nil {
		t.Fatal(err)
	}
	d := openDoor(t, probedPool(t, 20*time.Millisecond, peer), testLimits())
	eventually(t, "the log says why it is down", func() bool { return d.log.count(`failures=2 error="it cannot be reached`) == 1 })
}

// Of a trunk's servers one that leaves a probe unanswered is not asked by the next, and the trunk is up.
func TestProbesGoToTheNextServer(t *testing.T) {
	t.Parallel()
	silent, _ := moody(t)
	second, status := moody(t)
	status.Store(200)
	cfg := several(t, silent, second)
	cfg.Timers.T1 = 10 * time.Second // by itself no request leaves the first
	cfg.Trunks[0].Probe = probing(20 * time.Millisecond)
	d := openDoor(t, cfg, testLimits())
	eventually(t, "the second server is asked", func() bool { return d.Backend("pbx").stats().Latency > 0 })
}

// Who was silent last is asked last.
func TestTheLatestSilenceIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := refusals{life: time.Minute, until: map[netip.AddrPort]time.Time{}}
		a, b, c := place{addr: netip.MustParseAddrPort("192.0.2.1:5060")}, place{addr: netip.MustParseAddrPort("192.0.2.2:5060")},
			place{addr: netip.MustParseAddrPort("192.0.2.3:5060")}
		want := func(order ...place) {
			t.Helper()
			if got := r.last([]place{a, b, c}); !slices.Equal(got, order) {
				t.Errorf("%v", got)
			}
		}
		want(a, b, c)
		r.add(a.addr)
		want(b, c, a)
		time.Sleep(time.Second)
		r.add(b.addr)
		want(c, a, b)
		time.Sleep(time.Minute)
		want(a, b, c)
	})
}

// Without probes traffic alone judges, and only for a while.
func TestSuspectWithoutProbes(t *testing.T) {
	d := openDoor(t, trunk(t, "sip:127.0.0.1:9"), testLimits())
	b := d.Backend("pbx")
	for range 3 {
		b.Suspect()
	}
	if b.Alive() || b.health(time.Now().Add(silenceRest)) != fit {
		t.Error("it rests for ever, or not at all")
	}
	if order := d.Pool("pbx").Order(nil); len(order) != 1 {
		t.Error("the only one is not asked any more")
	}
}

func TestJitterStaysNearTheInterval(t *testing.T) {
	for range 1000 {
		if d := jitter(time.Second); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Fatalf("%s", d)
		}
	}
}

func TestContactOfUDPHasNoTransport(t *testing.T) {
	cfg := trunk(t, "sip:127.0.0.1:9")
	cfg.Advertise = "sip.example.com"
	cfg.Listen = []Listen{{Network: "udp", Addr: netip.MustParseAddrPort("0.0.0.0:0")}}
	d := openDoor(t, cfg, testLimits())
	c := d.Backend("pbx").Contact("x1")
	if want := (&sip.Uri{Scheme: "sip", User: "x1", Host: "sip.example.com", Port: int(d.Addrs()[0].Port())}).String(); c.String() != want {
		t.Errorf("%s, want %s", c.String(), want)
	}
}
