package codec

import (
	"fmt"
	"math"
	"testing"
)

func resampleAll(r *Resampler, pcm []int16, block int) []int16 {
	var out []int16
	for ; len(pcm) >= block; pcm = pcm[block:] {
		out = r.Run(out, pcm[:block])
	}
	return out
}

// A tone in the passed band keeps its level within 0.3 dB, and what it mirrors to is 60 dB below.
func TestResamplerPassesItsBand(t *testing.T) {
	for _, c := range []struct{ from, to int }{{8000, 16000}, {16000, 8000}, {8000, 48000}, {48000, 8000}, {16000, 48000}, {48000, 16000}} {
		t.Run(fmt.Sprint(c.from, "→", c.to), func(t *testing.T) {
			low := min(c.from, c.to)
			for hertz := 100; hertz <= low*85/200; hertz += 550 {
				r := NewResampler(c.from, c.to, c.from/50)
				out := resampleAll(r, tone(float64(hertz), 10000, c.from, c.from/2), c.from/50)[c.to/4:]
				if level := decibel(power(out, float64(hertz), c.to) / 10000); math.Abs(level) > 0.3 {
					t.Errorf("%d Hz: %.2f dB", hertz, level)
				}
				if image := float64(low - hertz); c.to > c.from {
					if level := decibel(power(out, image, c.to) / 10000); level > -60 {
						t.Errorf("%d Hz: %.1f dB at %.0f Hz", hertz, level, image)
					}
				}
			}
			if c.from < c.to {
				return
			}
			r := NewResampler(c.from, c.to, c.from/50)
			above := float64(low) * 0.575
			out := resampleAll(r, tone(above, 10000, c.from, c.from/2), c.from/50)[c.to/4:]
			if level := decibel(rms(out) / 7071); level > -60 {
				t.Errorf("%.0f Hz: %.1f dB folded back", above, level)
			}
		})
	}
}

func TestResamplerAllocatesNothing(t *testing.T) {
	r, pcm, out := NewResampler(16000, 8000, 320), tone(440, 9000, 16000, 320), make([]int16, 0, 160)
	if n := testing.AllocsPerRun(100, func() { out = r.Run(out[:0], pcm) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
