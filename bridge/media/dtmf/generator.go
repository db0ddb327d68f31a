package dtmf

import (
	"math"
	"strings"
)

const (
	rowLevel    = -8.0 // dBm0, where most senders have it
	columnLevel = -6.0 // the higher tone suffers more on the way
	fullScale   = 3.14 // dBm0 of a sine at the largest sample
	ramp        = Rate / 500
)

// Generator makes one signal, a buffer at a time. It allocates nothing.
type Generator struct {
	row, column tone
	left, done  int
}

// tone is a sine by recurrence: y[n] = k·y[n-1] - y[n-2].
type tone struct{ k, now, before float64 }

// Start begins a signal of so many samples; false where the key is none of the sixteen.
func (g *Generator) Start(key byte, samples int) bool {
	i := strings.IndexByte(keys, key)
	if i < 0 || samples <= 0 {
		return false
	}
	*g = Generator{row: newTone(rows()[i/4], rowLevel), column: newTone(columns()[i%4], columnLevel), left: samples}
	return true
}

func newTone(frequency, level float64) tone {
	amplitude := math.Pow(10, (level-fullScale)/20) * math.MaxInt16
	w := 2 * math.Pi * frequency / Rate
	return tone{k: 2 * math.Cos(w), now: 0, before: -amplitude * math.Sin(w)}
}

func (t *tone) next() float64 {
	y := t.now
	t.now, t.before = t.k*t.now-t.before, t.now
	return y
}

// End lets the signal end within so many samples from here.
func (g *Generator) End(samples int) { g.left = min(g.left, samples) }

// Fill writes the next samples and gives how many belong to the signal; the rest of the buffer stays as it is. 0: over.
// Both ends are ramped over 2 ms, so that nothing clicks.
func (g *Generator) Fill(samples []int16) int {
	n := min(len(samples), g.left)
	for i := range n {
		y := g.row.next() + g.column.next()
		if edge := min(g.done, g.left-1); edge < ramp {
			y *= float64(edge) / ramp
		}
		samples[i] = int16(math.Round(y))
		g.done++
		g.left--
	}
	return n
}
