package media

import (
	"sync/atomic"
	"testing"

	"tandem/bridge/sdp"
)

// Browsers whose packets come in by another worker's socket than the one that owns the leg lose nothing: two browsers of one
// relay, and rebound NATs, cannot all be where the kernel's hash puts them.
func TestHandOffBetweenWorkers(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 4 })
	const pairs = 6
	var peers [2 * pairs]*peer
	for i := 0; i < len(peers); i += 2 {
		var legs [2]*Leg
		for side := range legs {
			legs[side] = newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
			peers[i+side] = newPeer(t, legs[side].Local())
		}
		plan := opusPlan()
		plan.Streams[0].Payload[0][111], plan.Streams[0].Payload[1][111] = 111, 111
		e.Join(legs[0], legs[1], plan)
		for side, l := range legs {
			peers[i+side].connect(l)
		}
	}
	exchange := func(round string) {
		t.Helper()
		for i, p := range peers {
			p.sendRTP(p.next(111, round))
			if got := peers[i^1].receiveRTP(); string(got.Payload) != round {
				t.Fatalf("peer %d got %q in round %s", i^1, got.Payload, round)
			}
		}
	}
	for _, round := range []string{"first", "second", "third"} {
		exchange(round)
		for _, p := range peers {
			p.bind()
			p.check()
		}
	}
	exchange("last")
	s := e.Stats()
	if s.Handoffs == 0 || s.Drops[DropHandoffFull.String()] != 0 {
		t.Errorf("stats %+v", s)
	}
	if s.Legs != len(peers) || s.Relays != pairs {
		t.Errorf("%d legs, %d relays", s.Legs, s.Relays)
	}
}

// A browser alone in its relay takes the relay along to where its packets come in.
func TestRelayFollowsItsBrowser(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 4 })
	for range 8 {
		c := newCall(t, e)
		c.bothWays(t)
		before := e.Stats().Handoffs
		for range 20 {
			c.bothWays(t)
		}
		if now := e.Stats().Handoffs; now != before {
			t.Fatalf("%d datagrams passed between workers in a settled call", now-before)
		}
		if c.a.home() != c.b.home() {
			t.Fatalf("legs at %v and %v", c.a.home(), c.b.home())
		}
	}
	if e.Stats().Moves == 0 {
		t.Error("no leg ever moved")
	}
}

func TestCommandsKeepTheirOrderWhileLegsMove(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 4 })
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	const count = 4000
	var seen, wrong atomic.Int32
	for i := range int32(count) {
		l.do(func(w *worker, l *Leg) {
			if seen.Load() != i {
				wrong.Add(1)
			}
			seen.Add(1)
			if i%7 == 0 {
				if to := int(i) % len(e.workers); to != w.id {
					w.move(to, nil, l)
				}
			}
		})
	}
	waitFor(t, "all commands to run", func() bool { return seen.Load() == count })
	if wrong.Load() != 0 {
		t.Errorf("%d commands out of order", wrong.Load())
	}
}

func TestRing(t *testing.T) {
	r := newRing()
	from := sockaddrOf(loopback(1))
	d := &datagram{data: []byte{0}, from: &from}
	for i := range ringCells {
		d.data[0] = byte(i)
		if !r.push(d) {
			t.Fatalf("full after %d", i)
		}
	}
	if r.push(d) {
		t.Error("took one more than it holds")
	}
	for round := range 3 {
		for i := range ringCells {
			c := r.peek()
			if c == nil || c.data[0] != byte(i) || c.length != 1 || c.from.addrPort() != loopback(1) {
				t.Fatalf("round %d, cell %d: %v", round, i, c)
			}
			r.advance()
			d.data[0] = byte(i)
			if !r.push(d) {
				t.Fatal("no room after one was taken")
			}
		}
	}
}

// A busy worker lets packets collect and loses none; a quiet one does not tick.
func TestBusyWorkerTicks(t *testing.T) {
	e := open(t, func(c *Config) { c.Workers = 1 })
	legs, phones := rtpCall(t, e)
	for range 3 {
		phones[0].sendRTP(111, "now and then")
		phones[1].receiveRTP()
	}
	if n := e.Stats().Ticks; n != 0 {
		t.Errorf("%d ticks of a quiet worker", n)
	}
	sent := uint64(3)
	waitFor(t, "the worker to tick", func() bool { // each millisecond
		for range 20 {
			if sent-legs[0].Stats().PacketsIn > 100 { // no more than the socket's buffer holds
				break
			}
			phones[0].sendRTP(111, "many at once")
			sent++
		}
		return e.Stats().Ticks > 20
	})
	waitFor(t, "all packets to be relayed", func() bool { return legs[0].Stats().PacketsIn == sent && legs[1].Stats().PacketsOut >= sent })
}
