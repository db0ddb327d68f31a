package media

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// farEnd is a peer that sends 20 ms voice over a network with loss, delay and jitter, and answers reports as RFC 3550 says.
type farEnd struct {
	ssrc      uint32
	payload   uint8
	sequence  uint16
	stamp     uint32
	oneWay    time.Duration
	random    *rand.Rand
	lossEvery int           // every n-th packet on its way to us, at random, is lost; 0: none
	jitter    time.Duration // evenly spread up to it
	due       []arrival
	reportDue int64
	got       *rtcp.SenderReport
	gotAt     int64
	received  int
	highest   uint32
}

type arrival struct {
	at   int64
	data []byte
}

// speak puts the packet of this moment on its way.
func (f *farEnd) speak(t testing.TB, now int64) {
	f.sequence++
	f.stamp += 960
	if f.lossEvery > 0 && f.random.IntN(f.lossEvery) == 0 {
		return
	}
	p := packet(t, f.payload, f.ssrc, f.sequence, "voice")
	p[4], p[5], p[6], p[7] = byte(f.stamp>>24), byte(f.stamp>>16), byte(f.stamp>>8), byte(f.stamp)
	delay := int64(f.oneWay)
	if f.jitter > 0 {
		delay += f.random.Int64N(int64(f.jitter))
	}
	f.due = append(f.due, arrival{now + delay, p})
}

// report is the peer's own: of what it sends, and of what it gets.
func (f *farEnd) report(t testing.TB, now int64, clock func(int64) uint64) {
	sr := &rtcp.SenderReport{SSRC: f.ssrc, NTPTime: clock(now), RTPTime: f.stamp, PacketCount: 1}
	if f.got != nil {
		sr.Reports = []rtcp.ReceptionReport{{
			SSRC: f.got.SSRC, LastSequenceNumber: f.highest,
			LastSenderReport: uint32(f.got.NTPTime >> 16), Delay: uint32((now - f.gotAt) << 16 / int64(time.Second)),
		}}
	}
	f.due = append(f.due, arrival{now + int64(f.oneWay), marshal(t, sr)})
}

// deliver hands over what has come by now.
func (f *farEnd) deliver(now int64, to func([]byte)) {
	rest := f.due[:0]
	for _, a := range f.due {
		if a.at <= now {
			to(a.data)
		} else {
			rest = append(rest, a)
		}
	}
	f.due = rest
}

// hear takes what we sent to it.
func (f *farEnd) hear(t testing.TB, sent []wirePacket, leg *Leg, now int64) {
	for _, p := range sent {
		if p.leg == leg && !p.control {
			f.received++
			f.highest = uint32(rtpSequence(p.data))
		}
	}
	for _, r := range reports(t, sent, leg) {
		if sr, ok := r.(*rtcp.SenderReport); ok {
			f.got, f.gotAt = sr, now+int64(f.oneWay)
		}
	}
}

// One side's network is bad, the other's good: each leg's figures are its own network's.
func TestEachLegsFiguresAreItsOwn(t *testing.T) {
	t.Parallel()
	x := newWire(t, opusPlan())
	browser := &farEnd{ssrc: 7, payload: 111, sequence: 1000, oneWay: 5 * time.Millisecond, random: rand.New(rand.NewPCG(1, 1))}
	phone := &farEnd{ssrc: 9, payload: 107, sequence: 60000, oneWay: 40 * time.Millisecond, lossEvery: 20,
		jitter: 30 * time.Millisecond, random: rand.New(rand.NewPCG(2, 2))}
	elsewhere := func(now int64) uint64 { return uint64(now)<<32/1e9 + 77<<32 } // its clock is not ours
	const length = 60 * time.Second
	for now := time.Duration(0); now < length; now += time.Millisecond {
		if now%(20*time.Millisecond) == 0 {
			browser.speak(t, x.w.clock)
			phone.speak(t, x.w.clock)
		}
		if now%(3*time.Second) == 2*time.Second {
			browser.report(t, x.w.clock, elsewhere)
			phone.report(t, x.w.clock, elsewhere)
		}
		browser.deliver(x.w.clock, x.browserSends)
		phone.deliver(x.w.clock, x.phoneSends)
		x.pass(time.Millisecond)
		sent := x.take()
		browser.hear(t, sent, x.a, x.w.clock)
		phone.hear(t, sent, x.b, x.w.clock)
	}
	x.a.publish()
	x.b.publish()
	clean, bad := x.a.Stats().Quality[0], x.b.Stats().Quality[0]
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %.2f, want %.2f", what, got, want)
		}
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	near("browser's loss", clean.In.LossPercent(), 0, 0)
	near("browser's jitter", ms(clean.In.Jitter), 0, 0.5)
	near("browser's round trip", ms(clean.RoundTrip), 10, 2)
	near("browser's MOS", clean.In.MOSMin, 4.5, 0.01)
	near("phone's loss", bad.In.LossPercent(), 5, 1)
	near("phone's jitter", ms(bad.In.Jitter), 10, 2.5) // the mean difference of two evenly spread delays is a third of the spread
	near("phone's round trip", ms(bad.RoundTrip), 80, 2)
	near("phone's loss as it reports it", bad.Out.LossPercent(), 0, 0)
	if bad.In.MOSAvg > 4.3 || bad.In.MOSAvg < 3 || bad.In.MOSMin > bad.In.MOSAvg || bad.Out.MOSMin < 4.3 {
		t.Errorf("phone's figures: %+v", bad)
	}
	if bad.In.Burst < 1 || bad.In.Burst > 1.2 {
		t.Errorf("random loss has BurstR %.2f", bad.In.Burst)
	}
}

// What the phone's reports say stays with its leg; ours say what happens on each.
func TestReportsAreOurs(t *testing.T) {
	x := newWire(t, opusPlan())
	for i := range 50 {
		x.browserSends(packet(t, 111, 7, uint16(i), "voice"))
		if i != 10 && i != 20 {
			x.phoneSends(packet(t, 107, 9, uint16(65520+i), "voice"))
		}
		x.pass(20 * time.Millisecond)
	}
	const at = 0xaaaabbbbccccdddd
	x.phoneSends(marshal(t, &rtcp.SenderReport{SSRC: 9, NTPTime: at, RTPTime: 1},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 9, Items: []rtcp.SourceDescriptionItem{
			{Type: rtcp.SDESCNAME, Text: "phone@10.0.0.7"}}}}}, &rtcp.Goodbye{Sources: []uint32{9}}))
	for range 6 * 50 {
		x.pass(20 * time.Millisecond)
	}
	sent := x.take()
	toPhone, toBrowser := reports(t, sent, x.b), reports(t, sent, x.a)
	var reported *rtcp.ReceptionReport
	var name string
	for _, p := range toPhone {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			if p.SSRC != 7 {
				t.Errorf("sender report of %d", p.SSRC)
			}
			if len(p.Reports) > 0 {
				reported = &p.Reports[0]
			}
		case *rtcp.ReceiverReport:
			if len(p.Reports) > 0 {
				reported = &p.Reports[0]
			}
		case *rtcp.SourceDescription:
			name = p.Chunks[0].Items[0].Text
		}
	}
	if reported == nil || reported.SSRC != 9 || reported.TotalLost != 2 || reported.LastSequenceNumber != 1<<16|33 {
		t.Fatalf("reported of the phone: %+v", reported)
	}
	if len(name) != nameSize {
		t.Errorf("CNAME %q", name)
	}
	if len(toBrowser) == 0 {
		t.Error("nothing went to the browser")
	}
	for _, p := range toBrowser {
		if d, ok := p.(*rtcp.SourceDescription); ok && d.Chunks[0].Items[0].Text == "phone@10.0.0.7" {
			t.Error("the phone's name crossed")
		}
		if _, ok := p.(*rtcp.Goodbye); ok {
			t.Error("the phone's BYE crossed")
		}
	}
}

// Audio and video of one source keep the relation that its sender reports give them.
func TestStreamsStayTogether(t *testing.T) {
	plan := opusPlan()
	video := plan.Streams[0]
	video.Kind = "video"
	for i := range video.Codec {
		video.Codec[i].Clock = 90000
	}
	plan.Streams = append(plan.Streams, video)
	x := newWire(t, plan)
	const skew = 1234 << 32 // the source's clock is behind ours
	for i, s := range []struct {
		ssrc, stamp uint32
		clock       int
		late        time.Duration // how much later than it was taken it comes
	}{{21, 1_000_000, 48000, 10 * time.Millisecond}, {22, 77_000_000, 90000, 250 * time.Millisecond}} {
		in, out := &x.a.tracks[i].in, &x.b.tracks[i].out
		p := rtpPacket(s.ssrc, 1, s.stamp)
		in.take(p, x.w.clock)
		if reason := out.pass(p, x.w.clock, s.clock); reason != dropNone {
			t.Fatal(reason)
		}
		sr := marshal(t, &rtcp.SenderReport{SSRC: s.ssrc, NTPTime: x.w.ntp() - uint64(s.late)<<32/1e9 - skew, RTPTime: s.stamp})
		x.a.heardSender(x.w, sr)
	}
	x.w.clock += int64(time.Second)
	at := x.w.ntp()
	audio, pictures := x.b.timestampAt(x.w, 0, at), x.b.timestampAt(x.w, 1, at)
	// At one moment of the source's clock audio stood 0.24 s further than its report said, compared with video.
	apart := float64(int32(pictures-77_000_000))/90000 - float64(int32(audio-1_000_000))/48000
	if math.Abs(apart-0.24) > 0.001 {
		t.Errorf("video is %.4f s apart from audio, want 0.24", apart)
	}
}
