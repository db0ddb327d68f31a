package codec

import "math"

// pitch finds by how many samples, from least to most, x[:window] must be moved back so that it resembles best what comes
// before it: x[from-lag:] beside x[from:from+window]. Every step-th sample is looked at. It returns the lag and the
// normalized correlation, -1 to 1; silence resembles nothing: 0.
func pitch(x []int16, from, window, least, most, step int) (int, float64) {
	best, lag := 0.0, least
	energy := correlate(x[from:from+window], x[from:from+window], step)
	if energy == 0 {
		return lag, 0
	}
	search := func(low, high, stride int) {
		for l := max(low, least); l <= min(high, most); l += stride {
			past := x[from-l : from-l+window]
			c := correlate(x[from:from+window], past, step)
			if c <= 0 {
				continue
			}
			if r := c / math.Sqrt(energy*(correlate(past, past, step)+1)); r > best {
				best, lag = r, l
			}
		}
	}
	search(least, most, step)
	if step > 1 {
		search(lag-step+1, lag+step-1, 1)
	}
	return lag, best
}

func correlate(a, b []int16, step int) float64 {
	var sum int64
	b = b[:len(a)]
	for i := 0; i < len(a); i += step {
		sum += int64(a[i]) * int64(b[i])
	}
	return float64(sum)
}

// pitchStep is how coarsely pitch looks at sound of a rate: as if it had 4000 samples per second, which holds a voice's
// pitch.
func pitchStep(rate int) int { return max(rate/4000, 1) }

// crossfade writes to out what begins as a and ends as b.
func crossfade(out, a, b []int16) {
	n := len(out)
	for i := range out {
		out[i] = int16((int(a[i])*(n-i) + int(b[i])*i) / n)
	}
}
