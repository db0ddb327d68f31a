package media

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"tandem/bridge/sdp"
)

func TestDrops(t *testing.T) {
	c := newCall(t, open(t))
	c.bothWays(t)
	expect := func(l *Leg, r DropReason, want uint64) {
		t.Helper()
		waitFor(t, r.String(), func() bool { return l.Stats().Drops[r.String()] == want })
	}
	c.browser.sendRTP(c.browser.next(77, "unknown payload type"))
	expect(c.a, DropPayload, 1)

	held := opusPlan()
	held.Streams[0].Forward = [2]bool{false, true}
	c.e.Join(c.a, c.b, held)
	c.phone.sendRTP(107, "the other way goes on")
	c.browser.receiveRTP()
	c.browser.sendRTP(c.browser.next(111, "held"))
	expect(c.a, DropHeld, 1)
	c.e.Join(c.a, c.b, opusPlan())
	c.bothWays(t)

	again := c.browser.next(111, "replayed")
	sealed, err := c.browser.out.EncryptRTP(nil, again, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.browser.send(sealed)
	c.phone.receiveRTP()
	c.browser.send(sealed)
	expect(c.a, DropSRTPReplay, 1)
	sealed[3]++ // another sequence number: the tag does not fit
	c.browser.send(sealed)
	expect(c.a, DropSRTPAuth, 1)
	c.browser.send(sealed[:11])
	expect(c.a, DropRTPMalformed, 1)
	sendTo(t, c.phone.rtp, c.phone.to, []byte("not RTP at all"))
	expect(c.b, DropRTPMalformed, 1)
	c.browser.send([]byte{70, 0, 0, 0})
	waitFor(t, "a TURN channel's message to be counted", func() bool { return c.e.Stats().Drops[DropProtocol.String()] == 1 })
}

func TestNotJoined(t *testing.T) {
	e := open(t)
	l := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	f := newPhone(t, l.Local())
	l.SetRemote(f.remote())
	f.sendRTP(0, "to nobody")
	waitFor(t, "the packet to be counted", func() bool { return l.Stats().Drops[DropNotJoined.String()] == 1 })
}

func TestHeaderExtensionIsStripped(t *testing.T) {
	c := newCall(t, open(t))
	p := parse(t, c.browser.next(111, "behind an extension"))
	p.Marker = true
	p.CSRC = []uint32{9}
	if err := p.SetExtension(1, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.browser.sendRTP(b)
	got := c.phone.receiveRTP()
	if got.Extension || !got.Marker || len(got.CSRC) != 1 || got.CSRC[0] != 9 || string(got.Payload) != "behind an extension" {
		t.Errorf("phone got %v", got)
	}
}

// A leg that is joined anew leaves its old relay: a transfer.
func TestJoinedElsewhere(t *testing.T) {
	e := open(t)
	c := newCall(t, e)
	c.bothWays(t)
	third := newLeg(t, e, LegSpec{Profile: sdp.RTP})
	f := newPhone(t, third.Local())
	third.SetRemote(f.remote())
	e.Join(c.a, third, opusPlan())
	waitFor(t, "the third to be in", func() bool {
		f.sendRTP(107, "from the third")
		return third.Stats().PacketsIn > third.Stats().Drops[DropNotJoined.String()]
	})
	for {
		if p := c.browser.receiveRTP(); string(p.Payload) == "from the third" {
			break
		}
	}
	c.phone.sendRTP(107, "from the second")
	waitFor(t, "the second to be out", func() bool { return c.b.Stats().Drops[DropNotJoined.String()] == 1 })
	if got := e.Stats(); got.Relays != 1 || got.Legs != 3 {
		t.Errorf("stats %+v", got)
	}
	third.Close()
	third.Close()
	if got := e.Stats(); got.Relays != 0 || got.Legs != 2 {
		t.Errorf("stats %+v", got)
	}
}

func TestBrowserToBrowser(t *testing.T) {
	e := open(t)
	var legs [2]*Leg
	var peers [2]*peer
	for i := range legs {
		legs[i] = newLeg(t, e, LegSpec{Profile: sdp.WebRTC})
		peers[i] = newPeer(t, legs[i].Local())
		peers[i].ssrc += uint32(i)
	}
	plan := opusPlan()
	plan.Streams[0].Payload[1][111] = 111
	plan.Streams[0].Payload[0][111] = 111
	e.Join(legs[0], legs[1], plan)
	for i := range legs {
		peers[i].connect(legs[i])
	}
	for i := range legs {
		peers[i].sendRTP(peers[i].next(111, "hello"))
		if p := peers[1-i].receiveRTP(); string(p.Payload) != "hello" || p.SSRC != peers[i].ssrc {
			t.Fatalf("got %v", p)
		}
	}
}

type tap struct{ count atomic.Int32 }

func (x *tap) Packet(_ *Leg, stream sdp.Slot, codec *sdp.Codec, packet []byte, at time.Time) {
	if stream == sdp.Audio && codec != nil && codec.Name == "opus" && !at.IsZero() && binary.BigEndian.Uint32(packet[8:]) != 0 {
		x.count.Add(1)
	}
}

func TestTap(t *testing.T) {
	x := &tap{}
	c := newTappedCall(t, open(t), x)
	c.bothWays(t)
	if n := x.count.Load(); n != 2 {
		t.Errorf("tap saw %d packets", n)
	}
	plan := opusPlan()
	plan.Streams[sdp.Audio].Payload[0][98] = 107 // the browser sends with the number of its own answer
	c.e.Join(c.a, c.b, plan)
	settled := make(chan struct{})
	c.a.do(func(*worker, *Leg) { close(settled) })
	<-settled
	c.browser.sendRTP(c.browser.next(98, "renumbered"))
	if p := c.phone.receiveRTP(); p.PayloadType != 107 {
		t.Fatalf("%v", p)
	}
	if n := x.count.Load(); n != 3 {
		t.Errorf("tap saw %d packets, want 3", n)
	}
}

type bomb struct{ armed atomic.Bool }

func (b *bomb) Packet(*Leg, sdp.Slot, *sdp.Codec, []byte, time.Time) {
	if b.armed.Swap(false) {
		panic("boom")
	}
}

// A panic while one leg's packet is handled ends that leg, and nothing else.
func TestFaultStaysWithItsLeg(t *testing.T) {
	b := &bomb{}
	e := open(t, func(cfg *Config) { cfg.Workers = 1 })
	hurt, well := newTappedCall(t, e, b), newTappedCall(t, e, b)
	hurt.bothWays(t)
	b.armed.Store(true)
	hurt.browser.sendRTP(hurt.browser.next(111, "boom"))
	waitFor(t, "the leg to fail", func() bool { return hurt.journals[0].has(Failed, InternalFault) })
	well.bothWays(t)
	hurt.browser.sendRTP(hurt.browser.next(111, "afterwards"))
	waitFor(t, "its packets to be refused", func() bool { return hurt.a.Stats().Drops[DropFailed.String()] > 0 })
	hurt.a.Close()
}

func TestSSRCFloodIsBounded(t *testing.T) {
	c := newCall(t, open(t))
	for i := range maxReceived + 5 {
		c.browser.sendRTP(packet(t, 111, uint32(1000+i), 1, "flood"))
	}
	waitFor(t, "further sources to be refused", func() bool { return c.a.Stats().Drops[DropSSRCLimit.String()] == 5 })
}
