package media

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

// sharedCall is a leg on a shared port, its phone, and the far leg with its own.
type sharedCall struct {
	e      *Engine
	l, far *Leg
	phone  *phone
	other  *phone
}

// newSharedCall has our offer go first, or the phone's.
func newSharedCall(t *testing.T, e *Engine, offers bool) *sharedCall {
	t.Helper()
	c := &sharedCall{e: e, far: newLeg(t, e, LegSpec{Profile: sdp.RTP})}
	c.other = newPhone(t, c.far.Local())
	c.far.SetRemote(c.other.remote())
	spec := LegSpec{Profile: sdp.RTP, Shared: true, Signalling: home(t)}
	if offers {
		c.phone = newPhone(t, sdp.Local{Ports: []uint16{0}})
		spec.Offered = &c.phone.remote().Streams[0]
	}
	c.l = newLeg(t, e, spec)
	if !offers {
		c.phone = newPhone(t, c.l.Local())
	}
	local := c.l.Local()
	c.phone.to = netip.AddrPortFrom(local.Addr, local.Ports[0])
	c.hears(c.phone.remote())
	c.join(t)
	return c
}

func (c *sharedCall) join(t *testing.T) {
	t.Helper()
	relays := c.e.Stats().Relays
	c.e.Join(c.far, c.l, opusPlan())
	waitFor(t, "the legs to be joined", func() bool { return c.e.Stats().Relays == relays+1 })
}

func (c *sharedCall) close() {
	c.l.Close()
	c.far.Close()
}

// hears tells the leg what the phone's SDP says now, and waits until the worker that reads the port knows it.
func (c *sharedCall) hears(r sdp.Remote) {
	c.l.SetRemote(r)
	c.l.Export()
	for _, w := range c.e.workers {
		done := make(chan struct{})
		w.post(func(*worker) { close(done) })
		<-done
	}
}

// bothWays passes a packet of the call's own each way.
func (c *sharedCall) bothWays(t *testing.T, text string) {
	t.Helper()
	c.phone.sendRTP(107, "phone "+text)
	if p := c.other.receiveRTP(); string(p.Payload) != "phone "+text {
		t.Fatalf("the far end got %q: %+v", p.Payload, c.e.Stats())
	}
	c.other.sendRTP(111, "other "+text)
	if p := c.phone.receiveRTP(); string(p.Payload) != "other "+text {
		t.Fatalf("the phone got %q: %+v", p.Payload, c.e.Stats())
	}
}

func TestSharedPort(t *testing.T) {
	for _, workers := range []int{1, 4} {
		for _, offers := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d workers, the phone offers %v", workers, offers), func(t *testing.T) {
				e := open(t, func(c *Config) { c.Workers = workers })
				ports := map[uint16]bool{}
				var calls []*sharedCall
				for range 9 {
					c := newSharedCall(t, e, offers)
					ports[c.l.Local().Ports[0]] = true
					calls = append(calls, c)
				}
				if len(ports) > workers {
					t.Errorf("%d ports for %d workers", len(ports), workers)
				}
				if used := e.Stats().PortsUsed; used != len(calls)+len(ports) {
					t.Errorf("%d pairs are in use", used)
				}
				for round := range 6 {
					for i, c := range calls {
						c.bothWays(t, fmt.Sprint(round, " ", i))
					}
				}
				if handoffs := e.Stats().Handoffs; (handoffs > 0) != (workers > 1) {
					t.Errorf("%d handoffs", handoffs)
				}
				for _, c := range calls {
					c.close()
				}
				calls[0].phone.sendRTP(107, "late")
				waitFor(t, "the late packet to be counted", func() bool { return e.Stats().Drops[DropEnded.String()] == 1 })
			})
		}
	}
}

// Whoever the SDP of no call names is heard in none, whatever else the learning mode would allow.
func TestSharedPortHearsNobodyElse(t *testing.T) {
	e := open(t)
	c := newSharedCall(t, e, false)
	c.bothWays(t, "before")
	injector := newPhone(t, c.l.Local())
	injector.to = c.phone.to
	for range lockAfter + 1 {
		injector.sendRTP(107, "injected")
		injector.sendRTCP(senderReport(injector.ssrc))
	}
	waitFor(t, "all to be counted", func() bool { return e.Stats().Drops[DropUnclaimed.String()] == 2*(lockAfter+1) })
	c.bothWays(t, "after")
	if drops := c.l.Stats().Drops; len(drops) != 0 {
		t.Errorf("the leg's drops: %v", drops)
	}
}

func TestSharedPortRTCP(t *testing.T) {
	e := open(t)
	a, b := newSharedCall(t, e, false), newSharedCall(t, e, true)
	for _, c := range []*sharedCall{a, b} {
		c.phone.sendRTCP(senderReport(c.phone.ssrc))
		waitFor(t, "its report to be heard", func() bool { return c.l.Stats().PacketsIn == 1 })
	}
	remote := a.phone.remote()
	remote.Streams[0].Mux, remote.Streams[0].RTCP = true, remote.Streams[0].RTP
	a.hears(remote)
	sendTo(t, a.phone.rtp, a.phone.to, senderReport(a.phone.ssrc))
	waitFor(t, "the muxed report to be heard", func() bool { return a.l.Stats().PacketsIn == 2 })
	a.phone.sendRTCP(senderReport(a.phone.ssrc))
	waitFor(t, "the other address to be let go", func() bool { return e.Stats().Drops[DropEnded.String()] == 1 })
	if in := b.l.Stats().PacketsIn; in != 1 {
		t.Errorf("the other call heard %d packets", in)
	}
}

// Where two calls' peers have one address the second gets ports of its own, or, where those were said already, is not heard
// until the first is over; and even then it hears nothing of what the first's peer sent late.
func TestSharedPortConflict(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 1 })
	first := newSharedCall(t, e, false)
	first.bothWays(t, "first")
	remote := first.phone.remote()
	own := newLeg(t, e, LegSpec{Profile: sdp.RTP, Shared: true, Signalling: home(t), Offered: &remote.Streams[0]})
	if own.Local().Ports[0] == first.l.Local().Ports[0] || e.Stats().Conflicts != 1 {
		t.Fatalf("ports %v, %d conflicts", own.Local().Ports, e.Stats().Conflicts)
	}
	second := newSharedCall(t, e, false)
	second.hears(remote)
	waitFor(t, "the conflicts to be counted", func() bool { return e.Stats().Conflicts == 3 }) // RTP's and RTCP's
	first.bothWays(t, "still first")
	if in := second.l.Stats().PacketsIn; in != 0 {
		t.Fatalf("the second heard %d packets", in)
	}
	first.close()
	first.phone.sendRTP(107, "late")
	waitFor(t, "the late packet to be counted", func() bool { return e.Stats().Drops[DropEnded.String()] == 1 })
	first.phone.ssrc++
	first.phone.sendRTP(107, "of the second")
	if p := second.other.receiveRTP(); string(p.Payload) != "of the second" {
		t.Fatalf("got %q", p.Payload)
	}
}

// A peer that names in its SDP where another lives keeps nobody silent, and hears nothing of that one.
func TestSharedPortIsNotSquatted(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 1 })
	c := newSharedCall(t, e, false)
	for _, learn := range []string{"signalling", "strict"} {
		squatter := newLeg(t, e, LegSpec{Profile: sdp.RTP, Shared: true, Learn: learn, Signalling: netip.MustParseAddr("192.0.2.1")})
		lives := newPhone(t, c.l.Local())
		squatter.SetRemote(lives.remote())
		squatter.Export()
		lives.sequence, c.phone = c.phone.sequence, lives
		c.hears(lives.remote())
		c.bothWays(t, learn)
		if in := squatter.Stats().PacketsIn; in != 0 {
			t.Errorf("the squatter heard %d packets", in)
		}
		squatter.Close()
		c.bothWays(t, "after the squatter")
		c.phone = newPhone(t, c.l.Local())
		c.phone.sequence = lives.sequence
		c.hears(c.phone.remote())
		c.bothWays(t, "elsewhere")
	}
}

// A new call at an ended one's address is heard at once, but by its own stream only.
func TestSharedPortDrains(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *Config) { c.Workers, c.Limits.Drain = 1, 5*time.Second })
	c := newSharedCall(t, e, false)
	c.bothWays(t, "old")
	c.close()
	next := newSharedCall(t, e, false)
	next.hears(c.phone.remote())
	c.phone.sendRTP(107, "late")
	c.phone.ssrc++
	c.phone.sendRTP(107, "new")
	if p := next.other.receiveRTP(); string(p.Payload) != "new" {
		t.Fatalf("got %q", p.Payload)
	}
	next.close()
	newSharedCall(t, e, false) // a sweep needs a leg
	waitFor(t, "what is over to be forgotten", func() bool {
		left := make(chan int, 1)
		e.workers[0].post(func(w *worker) { left <- len(w.shared[0].entries) + len(w.shared[1].former) })
		return <-left == 1
	})
}

// A re-INVITE that names another address is followed, there and back; nothing is heard from the one before.
func TestSharedPortFollowsReInvite(t *testing.T) {
	e := open(t)
	c := newSharedCall(t, e, true)
	c.bothWays(t, "at first")
	phones := [2]*phone{c.phone, newPhone(t, c.l.Local())}
	for i := range 6 {
		former := c.phone
		c.phone = phones[(i+1)%2]
		c.phone.sequence = former.sequence
		c.hears(c.phone.remote())
		c.bothWays(t, fmt.Sprint("moved ", i))
		late := e.Stats().Drops[DropEnded.String()]
		former.sendRTP(107, "from where it was")
		waitFor(t, "the old address to be passed over", func() bool { return e.Stats().Drops[DropEnded.String()] == late+1 })
	}
}

func TestSharedPortOfRestoredLegs(t *testing.T) {
	e := open(t)
	calls := []*sharedCall{newSharedCall(t, e, false), newSharedCall(t, e, true), newSharedCall(t, e, false)}
	var states []LegState
	for i, c := range calls {
		c.bothWays(t, fmt.Sprint(i))
		text, err := json.Marshal(c.l.Export())
		if err != nil {
			t.Fatal(err)
		}
		var s LegState
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		states = append(states, s)
	}
	for _, c := range calls {
		c.close()
	}
	e.closePorts(t)
	next := open(t, func(c *Config) { c.Workers = 1 })
	for i, c := range calls {
		port := c.l.Local().Ports[0]
		c.e, c.far = next, newLeg(t, next, LegSpec{Profile: sdp.RTP})
		c.other = newPhone(t, c.far.Local())
		c.far.SetRemote(c.other.remote())
		c.l = newLeg(t, next, LegSpec{Profile: sdp.RTP, Restore: &states[i]})
		if got := c.l.Local().Ports[0]; got != port {
			t.Fatalf("port %d, was %d", got, port)
		}
		c.join(t)
	}
	for i, c := range calls {
		c.bothWays(t, fmt.Sprint(i))
	}
}

// closePorts closes the engine, so that another can take its ports.
func (e *Engine) closePorts(t *testing.T) {
	t.Helper()
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Who may send from elsewhere than its SDP says gets ports of its own.
func TestWhoSharesAPort(t *testing.T) {
	e := open(t)
	signalling := loopback(0).Addr()
	audio := &sdp.RemoteStream{RTP: loopback(4000)}
	ice := &sdp.RemoteStream{RTP: loopback(4002), Transport: sdp.Transport{Ufrag: "u", Password: "p"}}
	for _, c := range []struct {
		name string
		spec LegSpec
		want bool
	}{
		{"not asked for", LegSpec{}, false},
		{"our offer first", LegSpec{Shared: true}, true},
		{"learning any", LegSpec{Shared: true, Learn: "any"}, false},
		{"strict, our offer first", LegSpec{Shared: true, Learn: "strict"}, true},
		{"our offer with ICE", LegSpec{Shared: true, ICE: true}, false},
		{"an offer", LegSpec{Shared: true, Signalling: signalling, Offered: audio}, true},
		{"an offer from behind a NAT", LegSpec{Shared: true, Signalling: netip.MustParseAddr("192.0.2.1"), Offered: audio}, false},
		{"strict, media elsewhere", LegSpec{Shared: true, Learn: "strict", Signalling: netip.MustParseAddr("192.0.2.1"), Offered: audio}, true},
		{"an offer with ICE", LegSpec{Shared: true, ICE: true, Signalling: signalling, Offered: ice}, false},
		{"an offer without ICE", LegSpec{Shared: true, ICE: true, Signalling: signalling, Offered: audio}, true},
		{"an offer on hold", LegSpec{Shared: true, Signalling: signalling, Offered: &sdp.RemoteStream{}}, false},
	} {
		c.spec.Profile = sdp.RTP
		l := newLeg(t, e, c.spec)
		if got := l.Export().Streams[sdp.Audio].Shared; got != c.want {
			t.Errorf("%s: shared %v", c.name, got)
		} else if got && l.Local().Ufrag != "" {
			t.Errorf("%s: ICE on a shared port", c.name)
		}
		l.Close()
	}
}

func TestSharedPacketsAllocateNothing(t *testing.T) {
	b := newBench(t, uint16(srtpProfiles()[0]))
	s := &sharedSocket{worker: b.w, sharedTable: newSharedTable()}
	s.admit(b.phone.source(0), b.b)
	const runs = 1000
	sequence, p := uint16(0), packet(t, 107, 9, 0, voice)
	if n := testing.AllocsPerRun(runs, func() {
		sequence++
		p[2], p[3] = byte(sequence>>8), byte(sequence)
		b.w.in.next = 0
		d := datagram{data: b.w.in.copyIn(p), from: &b.phone}
		b.w.demuxShared(s, &d)
		b.w.out.count = 0
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
	if got := b.b.counters.packetsIn.Load(); got != runs+1 || len(b.b.Stats().Drops) != 0 {
		t.Errorf("%d of %d packets passed: %+v", got, runs+1, b.b.Stats())
	}
}
