package codec

import (
	"math"
	"math/rand"
	"testing"
	"time"
)

// stream sends packets of PCMU to a transcoder, 20 ms by the sender's clock, while Pull is called every 5 ms.
type stream struct {
	t        *testing.T
	tr       *Transcoder
	payloads [][]byte
	late     func(i int) time.Duration // by how much a packet comes after its time
	skew     float64                   // the sender's clock runs so much slower than ours
	now      time.Duration
	sent     int
	out      []Departure
}

func newStream(t *testing.T, from, to Name) *stream {
	return &stream{t: t, tr: transcoder(t, Spec{Name: from}, Spec{Name: to}), late: inTime,
		payloads: source(t, from, speech(from.Rate(), 2*from.Rate()), from.Rate(), frame)}
}

// arrival is when the i-th packet comes.
func (s *stream) arrival(i int) time.Duration {
	return time.Duration(float64(i)*float64(frame)*(1+s.skew)) + s.late(i)
}

// run goes on until a time, sending or not.
func (s *stream) run(until time.Duration, sending bool) {
	ticks := samples(frame, s.tr.from.Name.Clock())
	for ; s.now < until; s.now += 5 * ms {
		for ; s.arrival(s.sent) <= s.now; s.sent++ {
			if sending {
				s.tr.Push(Arrival{Sequence: uint16(s.sent), Timestamp: uint32(s.sent * ticks), Payload: s.payloads[s.sent%len(s.payloads)]}, s.arrival(s.sent))
			}
		}
		s.pull()
	}
}

func (s *stream) pull() {
	for d, ok := s.tr.Pull(s.now); ok; d, ok = s.tr.Pull(s.now) {
		d.Payload = append([]byte(nil), d.Payload...)
		s.out = append(s.out, d)
	}
}

// waiting is how much sound waits in the buffer.
func (s *stream) waiting() time.Duration {
	j := &s.tr.jitter
	return j.time(j.newest - j.timestamp)
}

// Clocks that drift apart by 500 ppm, more than crystals do, empty or fill nothing in five minutes.
func TestDrift(t *testing.T) {
	for _, skew := range []float64{-500e-6, 500e-6} {
		s := newStream(t, PCMU, PCMA)
		s.skew = skew
		for s.now < 300*time.Second {
			s.run(s.now+time.Second, true)
			if w := s.waiting(); s.now > 5*time.Second && (w < -20*ms || w > 80*ms) {
				t.Fatalf("%v, skew %v: %v waits", s.now, skew, w)
			}
		}
		stats := s.tr.Stats()
		if stats.Lost != 0 || stats.Late != 0 || stats.Concealed > 10 {
			t.Errorf("skew %v: %+v", skew, stats)
		}
		if skew > 0 && stats.Lengthened < 10 || skew < 0 && stats.Shortened < 10 {
			t.Errorf("skew %v: nothing was stretched: %+v", skew, stats)
		}
	}
}

// The delay follows the jitter, between its bounds, and comes down again when it ends.
func TestDelayFollowsJitter(t *testing.T) {
	for _, c := range []struct{ jitter, least, most time.Duration }{
		{2 * ms, 20 * ms, 20 * ms}, {30 * ms, 30 * ms, 45 * ms}, {100 * ms, 90 * ms, 115 * ms}, {150 * ms, 130 * ms, 165 * ms},
		{600 * ms, 200 * ms, 200 * ms},
	} {
		s := newStream(t, PCMU, PCMA)
		r := rand.New(rand.NewSource(1))
		jitter := c.jitter
		late := map[int]time.Duration{}
		s.late = func(i int) time.Duration {
			d, ok := late[i]
			if !ok {
				d = time.Duration(r.Int63n(int64(jitter)))
				if i > 0 { // a queue keeps the order
					d = max(d, late[i-1]-frame)
				}
				late[i] = d
			}
			return d
		}
		s.run(20*time.Second, true)
		if d := s.tr.Delay(); d < c.least || d > c.most {
			t.Errorf("jitter %v: delay %v, want %v to %v", c.jitter, d, c.least, c.most)
		}
		if stats := s.tr.Stats(); c.jitter < mostDelay && stats.Concealed > 60 {
			t.Errorf("jitter %v: %+v", c.jitter, stats)
		}
		jitter = ms
		s.run(60*time.Second, true)
		if d, w := s.tr.Delay(), s.waiting(); d > 40*ms || w > 60*ms {
			t.Errorf("jitter %v ended: delay %v, %v waits", c.jitter, d, w)
		}
	}
}

// When nothing arrives nothing leaves; afterwards the clock has gone on.
func TestRest(t *testing.T) {
	s := newStream(t, PCMU, PCMA)
	s.run(2*time.Second, true)
	s.run(4*time.Second, false)
	before := len(s.out)
	s.run(6*time.Second, false)
	if len(s.out) != before {
		t.Errorf("%d packets left while nothing arrived", len(s.out)-before)
	}
	if _, due := s.tr.Next(); due {
		t.Error("something is due at rest")
	}
	s.run(8*time.Second, true)
	if len(s.out) < before+95 {
		t.Fatalf("%d packets after the rest", len(s.out)-before)
	}
	first, last := s.out[before], s.out[before-1]
	elapsed := time.Duration(first.Timestamp-last.Timestamp) * time.Second / 8000
	if !first.Marker || first.Sequence != last.Sequence+1 || elapsed < 2900*ms || elapsed > 3100*ms {
		t.Errorf("marker %v, sequence %d after %d, %v later", first.Marker, first.Sequence, last.Sequence, elapsed)
	}
	for _, d := range s.out[before+1:] {
		if d.Marker {
			t.Error("a marker inside")
		}
	}
}

// A driver that comes late finds what it missed, up to 200 ms; more is skipped, not heaped up.
func TestLatePull(t *testing.T) {
	for _, c := range []struct {
		stall   time.Duration
		packets int
		marker  bool
	}{{150 * ms, 8, false}, {time.Second, 1, true}} {
		s := newStream(t, PCMU, PCMA)
		s.run(2*time.Second, true)
		before, last := len(s.out), s.out[len(s.out)-1]
		s.now += c.stall - 5*ms
		for ; s.arrival(s.sent) <= s.now; s.sent++ {
			s.tr.Push(Arrival{Sequence: uint16(s.sent), Timestamp: uint32(s.sent * 160), Payload: s.payloads[s.sent%len(s.payloads)]}, s.arrival(s.sent))
		}
		s.pull()
		got := s.out[before:]
		if len(got) < c.packets-1 || len(got) > c.packets+1 || got[0].Marker != c.marker {
			t.Errorf("%v: %d packets, marker %v", c.stall, len(got), got[0].Marker)
		}
		elapsed := time.Duration(got[len(got)-1].Timestamp-last.Timestamp) * time.Second / 8000
		if elapsed < c.stall-25*ms || elapsed > c.stall+25*ms {
			t.Errorf("%v: the clock went on by %v", c.stall, elapsed)
		}
		s.run(s.now+2*time.Second, true)
		if w := s.waiting(); w > 150*ms {
			t.Errorf("%v: %v waits two seconds later", c.stall, w)
		}
	}
}

// A CN packet is heard as noise of its level until sound comes (RFC 3389).
func TestComfortNoise(t *testing.T) {
	s := newStream(t, PCMU, G722)
	s.run(time.Second, true)
	s.tr.Push(Arrival{Kind: Comfort, Sequence: uint16(s.sent), Timestamp: uint32(s.sent * 160), Payload: []byte{40}}, s.now)
	before := len(s.out)
	for i := range 40 {
		s.now += frame
		s.sent++
		s.pull()
		if i == 20 {
			s.tr.Push(Arrival{Kind: Comfort, Sequence: uint16(s.sent), Timestamp: uint32(s.sent * 160), Payload: []byte{40}}, s.now)
		}
	}
	var payloads [][]byte
	for _, d := range s.out[before+5:] {
		payloads = append(payloads, d.Payload)
	}
	if len(payloads) < 30 {
		t.Fatalf("%d packets", len(payloads))
	}
	heard := sink(t, G722, payloads, 16000)
	if level := decibel(rms(heard[1600:]) / 32768); math.Abs(level+40) > 2 {
		t.Errorf("noise of %.1f dBov, want -40", level)
	}
	if lost := s.tr.Stats().Concealed; lost > 1 {
		t.Errorf("%d pieces concealed", lost)
	}
}

// What a steady stream waits in one direction more than it would without being transcoded: the jitter buffer's least
// delay, and what the codecs look ahead.
func TestAddedDelay(t *testing.T) {
	for _, p := range [][2]Name{{PCMU, PCMA}, {Opus, PCMU}, {PCMU, Opus}, {Opus, G722}, {G722, Opus}} {
		s := newStream(t, p[0], p[1])
		s.run(20*time.Second, true)
		var payloads [][]byte
		for _, d := range s.out {
			payloads = append(payloads, d.Payload)
		}
		rate := min(p[0].Rate(), p[1].Rate())
		heard := sink(t, p[1], payloads, rate)
		heard = heard[len(heard)-rate:] // a second, until the next packet is due
		said := speech(rate, 2*rate)
		best, added := 0.0, time.Duration(0)
		for d := time.Duration(0); d < 150*ms; d += ms / 4 {
			from := samples((s.tr.due-time.Second-d)%(2*time.Second), rate)
			sum := 0.0
			for i := 0; i < rate; i += 7 {
				sum += float64(heard[i]) * float64(said[(from+i)%len(said)])
			}
			if sum > best {
				best, added = sum, d
			}
		}
		t.Logf("%s → %s: %v", p[0], p[1], added)
		if added < 15*ms || added > 50*ms {
			t.Errorf("%s → %s: %v", p[0], p[1], added)
		}
	}
}
