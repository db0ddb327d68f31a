package codec

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"
)

// pairs are all that are turned into each other.
func pairs() [][2]Name {
	var all [][2]Name
	for from := PCMU; from <= Opus; from++ {
		for to := PCMU; to <= Opus; to++ {
			if from != to {
				all = append(all, [2]Name{from, to})
			}
		}
	}
	return all
}

func transcoder(t testing.TB, from, to Spec) *Transcoder {
	t.Helper()
	tr, err := New(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// source codes a signal as a browser or a PBX does: Opus with all its band.
func source(t testing.TB, n Name, pcm []int16, rate int, ptime time.Duration) [][]byte {
	t.Helper()
	e, err := NewEncoder(Spec{Name: n, Ptime: ptime}, rate)
	if err != nil {
		t.Fatal(err)
	}
	return encodeAll(e, pcm, samples(ptime, rate))
}

// sink hears payloads.
func sink(t testing.TB, n Name, payloads [][]byte, rate int) []int16 {
	t.Helper()
	d, _, err := NewDecoder(n, rate)
	if err != nil {
		t.Fatal(err)
	}
	return decodeAll(d, payloads, rate)
}

const frame = 20 * time.Millisecond

// A tone of every frequency of the band that both codecs carry comes out of both conversions, there and back, at its
// level: ±1.5 dB from 300 to 3400 Hz, and to 7000 Hz where both are wide.
func TestSpeechBandKeepsItsSpectrum(t *testing.T) {
	for _, p := range [][2]Name{{Opus, PCMU}, {Opus, PCMA}, {Opus, G722}, {G722, PCMU}} {
		t.Run(fmt.Sprint(p[0], "→", p[1], "→", p[0]), func(t *testing.T) {
			top, rate := 3400, 16000
			if p[0].Rate() > 8000 && p[1].Rate() > 8000 {
				top = 7000
			}
			for hertz := 300; hertz <= top; hertz += 310 {
				payloads := source(t, p[0], tone(float64(hertz), 6000, p[0].Rate(), p[0].Rate()), p[0].Rate(), frame)
				there := network(transcoder(t, Spec{Name: p[0]}, Spec{Name: p[1]}), payloads, frame, inTime)
				back := network(transcoder(t, Spec{Name: p[1]}, Spec{Name: p[0]}), there, frame, inTime)
				heard := sink(t, p[0], back, rate)
				level := decibel(power(heard[rate/4:rate*3/4], float64(hertz), rate) / 6000)
				if math.Abs(level) > 1.5 {
					t.Errorf("%d Hz: %+.2f dB", hertz, level)
				}
			}
		})
	}
}

// A voice keeps its level through every conversion.
func TestEveryPairKeepsTheLevel(t *testing.T) {
	for _, p := range pairs() {
		payloads := source(t, p[0], speech(p[0].Rate(), 2*p[0].Rate()), p[0].Rate(), frame)
		out := network(transcoder(t, Spec{Name: p[0]}, Spec{Name: p[1]}), payloads, frame, inTime)
		heard := sink(t, p[1], out, p[1].Rate())
		was := sink(t, p[0], payloads, p[0].Rate())
		if level := decibel(rms(heard) / rms(was)); math.Abs(level) > 1 {
			t.Errorf("%s → %s: %+.2f dB", p[0], p[1], level)
		}
	}
}

// Packets of any duration become packets of any other.
func TestPtime(t *testing.T) {
	for _, p := range [][2]Name{{Opus, PCMU}, {PCMA, Opus}, {G722, PCMU}, {PCMU, G722}} {
		for _, from := range []time.Duration{10 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond} {
			for _, to := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond} {
				heard, err := Spec{Name: p[0], Ptime: from}.normal()
				if err != nil {
					t.Fatal(err)
				}
				payloads := source(t, p[0], tone(1000, 6000, p[0].Rate(), p[0].Rate()), p[0].Rate(), heard.Ptime)
				tr := transcoder(t, Spec{Name: p[0]}, Spec{Name: p[1], Ptime: to})
				out := network(tr, payloads, heard.Ptime, inTime)
				sound := sink(t, p[1], out, p[1].Rate())
				rate := p[1].Rate()
				if len(sound) < rate*7/10 {
					t.Fatalf("%s %v → %s %v: %d samples of sound", p[0], from, p[1], to, len(sound))
				}
				if level := decibel(power(sound[rate/4:rate*3/4], 1000, rate) / 6000); math.Abs(level) > 1.5 {
					t.Errorf("%s %v → %s %v: %+.2f dB", p[0], from, p[1], to, level)
				}
			}
		}
	}
}

// In-band FEC brings back much more of a voice than what can be invented, and what is heard has no clicks.
func TestLossIsConcealedAndFECHelps(t *testing.T) {
	const rate = 16000
	for _, percent := range []int{5, 10, 20} {
		distance := map[bool]float64{}
		for _, fec := range []bool{false, true} {
			e, err := NewEncoder(Spec{Name: Opus, FEC: fec}, rate)
			if err != nil {
				t.Fatal(err)
			}
			e.SetLoss(20)
			payloads := encodeAll(e, speech(rate, 6*rate), rate/50)
			clean := transcoder(t, Spec{Name: Opus}, Spec{Name: G722})
			lossy := transcoder(t, Spec{Name: Opus}, Spec{Name: G722})
			r := rand.New(rand.NewSource(int64(percent)))
			whole := sink(t, G722, network(clean, payloads, frame, inTime), rate)
			heard := sink(t, G722, network(lossy, payloads, frame, func(int) time.Duration {
				if r.Intn(100) < percent {
					return -1
				}
				return 0
			}), rate)
			distance[fec] = spectralDistance(whole, heard, rate)
			if got, was := sharpest(heard), sharpest(whole); got > 2*was {
				t.Errorf("%d %% lost, FEC %v: bends by %d, the voice by %d", percent, fec, got, was)
			}
			s := lossy.Stats()
			t.Logf("%d %% lost, FEC %v: distance %.2f dB, %+v", percent, fec, distance[fec], s)
			if fec && s.Recovered < s.Lost/3 {
				t.Errorf("%d %% lost: of %d packets FEC gave %d back", percent, s.Lost, s.Recovered)
			}
		}
		if distance[true] > distance[false]*0.85 {
			t.Errorf("%d %% lost: %.2f dB from the whole with FEC, %.2f without", percent, distance[true], distance[false])
		}
	}
}

// spectralDistance is the mean difference of the short-time levels of a and b, in dB, where a is not silent. b may be moved
// by up to 50 ms against a.
func spectralDistance(a, b []int16, rate int) float64 {
	begin, length := rate/2, min(len(a), len(b))-rate
	shift, best := 0, 0.0
	for s := -rate / 20; s <= rate/20; s++ {
		if c := correlate(a[begin:begin+length], b[begin+s:begin+s+length], 31); c > best {
			shift, best = s, c
		}
	}
	sum, n := 0.0, 0
	block := rate / 50
	for i := begin; i+block <= begin+length; i += block {
		x, y := a[i:i+block], b[i+shift:i+shift+block]
		if rms(x) < 300 {
			continue
		}
		for hertz := 250.0; hertz <= 3250; hertz += 500 {
			sum += math.Abs(decibel((power(x, hertz, rate) + 30) / (power(y, hertz, rate) + 30)))
			n++
		}
	}
	return sum / float64(n)
}

// In steady state nothing is allocated.
func TestTranscoderAllocatesNothing(t *testing.T) {
	for _, p := range pairs() {
		tr := transcoder(t, Spec{Name: p[0]}, Spec{Name: p[1]})
		payloads := source(t, p[0], speech(p[0].Rate(), p[0].Rate()), p[0].Rate(), frame)
		i, ticks := 0, samples(frame, p[0].Clock())
		step := func() {
			now := time.Duration(i) * frame
			tr.Push(Arrival{Sequence: uint16(i), Timestamp: uint32(i * ticks), Payload: payloads[i%len(payloads)]}, now)
			for _, ok := tr.Pull(now); ok; _, ok = tr.Pull(now) {
			}
			i++
		}
		for range 150 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s → %s: %v allocations for each packet", p[0], p[1], n)
		}
	}
}

func TestSpecs(t *testing.T) {
	for _, c := range []struct {
		name  Name
		ptime time.Duration
		want  time.Duration
	}{
		{PCMU, 0, 20 * time.Millisecond}, {PCMU, 30 * time.Millisecond, 30 * time.Millisecond},
		{Opus, 30 * time.Millisecond, 20 * time.Millisecond}, {Opus, 50 * time.Millisecond, 40 * time.Millisecond},
		{G722, 3 * time.Millisecond, 10 * time.Millisecond}, {PCMA, 200 * time.Millisecond, 60 * time.Millisecond},
	} {
		if s, err := (Spec{Name: c.name, Ptime: c.ptime}).normal(); err != nil || s.Ptime != c.want {
			t.Errorf("%s %v: %v, %v", c.name, c.ptime, s.Ptime, err)
		}
	}
	if _, err := New(Spec{}, Spec{Name: Opus}); err == nil {
		t.Error("no codec: no error")
	}
	if _, err := New(Spec{Name: Opus}, Spec{Name: 9}); err == nil {
		t.Error("codec 9: no error")
	}
	if n, ok := ParseName("OPUS"); n != Opus || !ok {
		t.Error("OPUS is not opus")
	}
	if _, ok := ParseName("speex"); ok {
		t.Error("speex is known")
	}
}
