package media

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// home is an address of the test's own in 127.0.0.0/8: what another test's leg still sends to a port that it had comes to nobody here.
func home(t testing.TB) netip.Addr {
	h := fnv.New32a()
	fmt.Fprintln(h, os.Getpid(), t.Name())
	sum := h.Sum32()
	return netip.AddrFrom4([4]byte{127, 64 | byte(sum>>16)&63, byte(sum >> 8), byte(sum) | 1})
}

// open starts an engine on free ports of the test's address.
func open(t testing.TB, change ...func(*Config)) *Engine {
	t.Helper()
	cfg := Config{
		Listen:  []netip.AddrPort{netip.AddrPortFrom(home(t), 0)},
		RTP:     RTPConfig{Address: home(t)},
		Workers: 2,
		Node:    7,
		Limits:  Limits{Consent: time.Hour}, // peers check once, and a busy machine needs more than 30 s for some calls
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func newLeg(t testing.TB, e *Engine, spec LegSpec) *Leg {
	t.Helper()
	l, err := e.NewLeg(spec)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		case <-every.C:
		}
	}
}

// journal collects a leg's events.
type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) note(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) has(k EventKind, r Reason) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == k && e.Reason == r {
			return true
		}
	}
	return false
}

// opusPlan joins a browser (leg 0, Opus 111, events 126) with a phone (leg 1, Opus 107, events 101).
func opusPlan() sdp.Plan {
	s := sdp.PlannedStream{
		Kind: "audio", Forward: [2]bool{true, true}, Expect: [2]bool{true, true},
		Codec: [2]sdp.Codec{{PayloadType: 111, Name: "opus", Clock: 48000, Channels: 2},
			{PayloadType: 107, Name: "opus", Clock: 48000, Channels: 2}},
		Telephone: [2]sdp.Codec{{PayloadType: 126, Name: "telephone-event", Clock: 48000},
			{PayloadType: 101, Name: "telephone-event", Clock: 48000}},
		From: [2]uint8{111, 107}, EventFrom: [2]uint8{126, 101},
	}
	for side := range s.Payload {
		for i := range s.Payload[side] {
			s.Payload[side][i] = noPayload
		}
	}
	s.Payload[0][111], s.Payload[0][126] = 107, 101
	s.Payload[1][107], s.Payload[1][101] = 111, 126
	return sdp.Plan{Streams: []sdp.PlannedStream{s}}
}

// call is a browser and a phone that are joined and connected.
type call struct {
	e        *Engine
	a, b     *Leg
	browser  *peer
	phone    *phone
	journals [2]journal
}

func newCall(t testing.TB, e *Engine, change ...func(*peer)) *call {
	t.Helper()
	return newCallBetween(t, e, home(t), home(t), change...)
}

// newTappedCall is one both of whose legs are seen by a tap.
func newTappedCall(t testing.TB, e *Engine, x Tap) *call {
	t.Helper()
	c := newCall(t, e)
	tapped := make(chan struct{})
	for _, l := range []*Leg{c.a, c.b} {
		l.do(func(_ *worker, l *Leg) { l.spec.Tap = x; tapped <- struct{}{} })
		<-tapped
	}
	return c
}

// newCallBetween has the browser and the phone on these addresses.
func newCallBetween(t testing.TB, e *Engine, browser, phone netip.Addr, change ...func(*peer)) *call {
	t.Helper()
	c := &call{e: e}
	c.a = newLeg(t, e, LegSpec{Profile: sdp.WebRTC, Call: "c", Leg: "a", OnEvent: c.journals[0].note})
	c.b = newLeg(t, e, LegSpec{Profile: sdp.RTP, Call: "c", Leg: "b", OnEvent: c.journals[1].note})
	c.browser, c.phone = newPeerOn(t, c.a.Local(), browser), newPhoneOn(t, c.b.Local(), phone)
	for _, f := range change {
		f(c.browser)
	}
	c.b.SetRemote(c.phone.remote())
	relays := e.Stats().Relays
	e.Join(c.a, c.b, opusPlan())
	waitFor(t, "the legs to be joined", func() bool { return e.Stats().Relays == relays+1 })
	c.browser.connect(c.a)
	return c
}

func (c *call) bothWays(t testing.TB) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("browser's leg %+v\nphone's leg %+v\nengine %+v", c.a.Stats(), c.b.Stats(), c.e.Stats())
		}
	}()
	c.browser.sendRTP(c.browser.next(111, "from the browser"))
	if p := c.phone.receiveRTP(); p.PayloadType != 107 || string(p.Payload) != "from the browser" || p.SSRC != c.browser.ssrc {
		t.Fatalf("phone got %v", p)
	}
	c.phone.sendRTP(107, "from the phone")
	if p := c.browser.receiveRTP(); p.PayloadType != 111 || string(p.Payload) != "from the phone" || p.SSRC != c.phone.ssrc {
		t.Fatalf("browser got %v", p)
	}
}

func TestAudioBothWays(t *testing.T) {
	t.Parallel()
	for _, profile := range srtpProfiles() {
		t.Run(profileName(uint16(profile)), func(t *testing.T) {
			t.Parallel()
			e := open(t)
			c := newCall(t, e, func(p *peer) { p.profiles = append(p.profiles[:0:0], profile) })
			if got := c.a.Stats().SRTPProfile; got != profileName(uint16(profile)) {
				t.Errorf("profile %q", got)
			}
			for range 600 { // sequence numbers wrap on the way
				c.bothWays(t)
			}
			waitFor(t, "both legs to be connected", func() bool {
				return c.journals[0].has(Connected, "") && c.journals[1].has(Connected, "")
			})
			waitFor(t, "the last packet to be counted", func() bool { return c.a.Stats().PacketsOut >= 600 })
			s := c.a.Stats()
			if s.PacketsIn != 600 || s.FirstRTP.IsZero() || s.Remote != addrOf(c.browser.conn) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestGCM128IsPreferred(t *testing.T) {
	c := newCall(t, open(t))
	if got := c.a.Stats().SRTPProfile; got != "SRTP_AEAD_AES_128_GCM" {
		t.Errorf("profile %q", got)
	}
}

func TestCloseFreesEverything(t *testing.T) {
	before, goroutines := openFiles(t), runtime.NumGoroutine()
	e := open(t, withClients)
	c := newCall(t, e)
	c.bothWays(t)
	left := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	_, client := allocateSocket(t, e) // left, too
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	left.Close()
	client.Close()
	c.browser.conn.Close()
	c.browser.fromRecords.Close()
	c.phone.rtp.Close()
	c.phone.rtcp.Close()
	waitFor(t, "the files to be closed", func() bool { return openFiles(t) <= before })
	waitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	if _, err := e.NewLeg(LegSpec{Profile: sdp.RTP}); err != ErrClosed {
		t.Errorf("NewLeg after Close: %v", err)
	}
}

// openFiles counts the process's sockets and event files; the runtime keeps a few others open.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil &&
			(strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "anon_inode:")) {
			count++
		}
	}
	return count
}
