package codec

import "time"

// Bounds of what one stretch takes out or puts in. A voice's pitch periods are 2.5 to 12.5 ms.
const (
	stretchLeast = 2500 * time.Microsecond
	stretchMost  = 10 * time.Millisecond
	// stretchAlike is how alike two periods must be so that nobody hears one more or less of them.
	stretchAlike = 0.85
	// stretchQuiet is the mean square below which nobody hears anything: -54 dBFS.
	stretchQuiet = 65 * 65
)

// shorten takes one pitch period out of pcm, in place, and returns what is left; all of it where no two periods are
// alike, unless it is urgent.
func shorten(pcm []int16, rate int, urgent bool) []int16 {
	lag := stretchLag(pcm, rate, urgent)
	if lag == 0 {
		return pcm
	}
	crossfade(pcm[:lag], pcm[:lag], pcm[lag:2*lag])
	return append(pcm[:lag], pcm[2*lag:]...)
}

// lengthen puts one pitch period more into pcm, which must have the capacity, and returns it; unchanged where no two
// periods are alike.
func lengthen(pcm []int16, rate int) []int16 {
	lag := stretchLag(pcm, rate, false)
	if lag == 0 || len(pcm)+lag > cap(pcm) {
		return pcm
	}
	n := len(pcm)
	pcm = pcm[:n+lag]
	copy(pcm[2*lag:], pcm[lag:n])
	// pcm[lag:2*lag] still holds the second period, and pcm[2*lag:] begins with a copy of it.
	crossfade(pcm[lag:2*lag], pcm[lag:2*lag], pcm[:lag])
	return pcm
}

// stretchLag is the length of a period of which pcm begins with two that are alike; 0 if it does not.
func stretchLag(pcm []int16, rate int, urgent bool) int {
	step := pitchStep(rate)
	least, most := samples(stretchLeast, rate), min(samples(stretchMost, rate), len(pcm)/2)
	most -= most % step
	if most < least {
		return 0
	}
	if correlate(pcm, pcm, 1) < stretchQuiet*float64(len(pcm)) {
		return most
	}
	best, lag := 0.0, 0
	for l := least - least%step; l <= most; l += step {
		if _, r := pitch(pcm, l, l, l, l, step); r > best {
			best, lag = r, l
		}
	}
	switch {
	case best > stretchAlike:
		return lag
	case urgent:
		return most
	}
	return 0
}
