package dtmf

import (
	"math"
	"math/rand/v2"
	"testing"
)

// signal is a tone pair, amplitudes in dBm0.
func signal(low, high, lowLevel, highLevel float64, samples int) []int16 {
	out := make([]int16, samples)
	amplitude := func(level float64) float64 { return math.Pow(10, (level-fullScale)/20) * math.MaxInt16 }
	for i := range out {
		t := 2 * math.Pi * float64(i) / Rate
		out[i] = int16(amplitude(lowLevel)*math.Sin(low*t) + amplitude(highLevel)*math.Sin(high*t))
	}
	return out
}

func silence(ms int) []int16 { return make([]int16, ms*Rate/1000) }

func ms(n int) int { return n * Rate / 1000 }

// heard is what a detector says to audio in 20 ms packets.
func heard(audio ...[]int16) (events []Event) {
	var d Detector
	var all []int16
	for _, a := range audio {
		all = append(all, a...)
	}
	for len(all) > 0 {
		n := min(len(all), 160)
		events = d.Feed(all[:n], events)
		all = all[n:]
	}
	return events
}

func began(events []Event) (s string) {
	for _, e := range events {
		if e.Began {
			s += string(e.Key)
		}
	}
	return s
}

func TestEveryKeyIsHeard(t *testing.T) {
	for i := range keys {
		for offset := range 21 { // wherever it begins against the windows
			var g Generator
			if !g.Start(keys[i], ms(100)) {
				t.Fatalf("%c refused", keys[i])
			}
			tone := make([]int16, ms(100))
			if n := g.Fill(tone); n != len(tone) {
				t.Fatalf("%d samples of %d", n, len(tone))
			}
			if g.Fill(tone) != 0 {
				t.Fatal("goes on behind its end")
			}
			events := heard(make([]int16, 5*offset), tone, silence(60))
			if began(events) != string(keys[i]) || len(events) != 2 || events[1].Key != keys[i] {
				t.Fatalf("%c at %d: %v", keys[i], offset, events)
			}
			if d := events[1].Duration; d < ms(85) || d > ms(115) {
				t.Errorf("%c: %d ms long", keys[i], d*1000/Rate)
			}
		}
	}
}

// What Q.24 wants taken and refused.
func TestReceiverLimits(t *testing.T) {
	row, column := rows()[1], columns()[1]
	for _, c := range []struct {
		name                string
		low, high           float64 // Hz
		lowLevel, highLevel float64 // dBm0
		length              int     // ms
		want                string
	}{
		{"nominal", row, column, -8, -6, 100, "5"},
		{"40 ms", row, column, -8, -6, 40, "5"},
		{"20 ms", row, column, -8, -6, 20, ""},
		{"loud", row, column, -3, -3, 100, "5"},
		{"faint", row, column, -36, -36, 100, "5"},
		{"too faint", row, column, -55, -55, 100, ""},
		{"1.5 % high", row * 1.015, column * 1.015, -8, -6, 100, "5"},
		{"1.5 % low", row * 0.985, column * 0.985, -8, -6, 100, "5"},
		{"4.5 % off", row * 1.045, column * 1.045, -8, -6, 100, ""},
		{"column 4 dB stronger", row, column, -10, -6, 100, "5"},
		{"row 8 dB stronger", row, column, -6, -14, 100, "5"},
		{"column 10 dB stronger", row, column, -16, -6, 100, ""},
		{"row 14 dB stronger", row, column, -6, -20, 100, ""},
		{"row alone", row, column, -8, -90, 100, ""},
		{"dial tone", 350, 440, -13, -13, 500, ""},
		{"ringback", 440, 480, -19, -19, 500, ""},
		{"busy", 480, 620, -24, -24, 500, ""},
	} {
		if got := began(heard(silence(31), signal(c.low, c.high, c.lowLevel, c.highLevel, ms(c.length)), silence(60))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDigitsInARow(t *testing.T) {
	var audio [][]int16
	for _, key := range []byte("5551212#") {
		var g Generator
		g.Start(key, ms(50))
		tone := make([]int16, ms(50))
		g.Fill(tone)
		audio = append(audio, tone, silence(50))
	}
	if got := began(heard(audio...)); got != "5551212#" {
		t.Errorf("%q", got)
	}
}

// A packet lost within a signal does not make two of it.
func TestShortGap(t *testing.T) {
	tone := signal(rows()[0], columns()[0], -8, -6, ms(200))
	clear(tone[ms(80):ms(90)])
	if events := heard(tone, silence(60)); began(events) != "1" {
		t.Errorf("%v", events)
	}
}

func TestNoiseHoldsNoDigits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, level := range []float64{100, 1000, 10000} {
		noise := make([]int16, 60*Rate)
		for i := range noise {
			noise[i] = int16(max(-32768, min(32767, random.NormFloat64()*level)))
		}
		if events := heard(noise); len(events) != 0 {
			t.Errorf("level %.0f: %v", level, events)
		}
	}
}

func TestDigitInNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	tone := signal(rows()[2], columns()[0], -10, -8, ms(100))
	for i := range tone {
		tone[i] += int16(random.NormFloat64() * 500) // 20 dB below
	}
	if got := began(heard(tone, silence(60))); got != "7" {
		t.Errorf("%q", got)
	}
}

func TestLost(t *testing.T) {
	var d Detector
	if _, on := d.Lost(); on {
		t.Error("a signal out of nothing")
	}
	if got := began(d.Feed(signal(rows()[3], columns()[1], -8, -6, ms(60)), nil)); got != "0" {
		t.Fatalf("%q", got)
	}
	if e, on := d.Lost(); !on || e.Key != '0' || e.Duration < ms(40) {
		t.Errorf("%v %v", e, on)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var d Detector
	var g Generator
	events, frame := make([]Event, 0, 16), make([]int16, 160)
	g.Start('5', 1<<30)
	if n := testing.AllocsPerRun(100, func() {
		g.Fill(frame)
		events = d.Feed(frame, events[:0])
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkFeed(b *testing.B) {
	var d Detector
	frame := signal(1000, 400, -10, -10, 160)
	b.ReportAllocs()
	for b.Loop() {
		d.Feed(frame, nil)
	}
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 255, 127, 0, 128})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Detector
		var samples []int16
		for i := 0; i+1 < len(data); i += 2 {
			samples = append(samples, int16(data[i])|int16(data[i+1])<<8)
		}
		on := false
		for _, e := range d.Feed(samples, nil) {
			if e.Began == on {
				t.Fatal("begin and end do not take turns")
			}
			on = e.Began
		}
	})
}
