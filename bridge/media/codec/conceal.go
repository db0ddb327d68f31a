package codec

import "time"

// concealer invents sound for codecs that cannot do it themselves, in the manner of ITU-T G.711 Appendix I: it repeats
// the last pitch period, then two, then three of them so that it does not buzz, ever quieter, until after 60 ms there is
// silence. Unlike the appendix it delays nothing: the seam is closed by a correction that dies away.
type concealer struct {
	rate    int     // static after construction
	history []int16 // the latest sound, 48.75 ms
	period  []int16 // what is repeated now
	lag     int     // length of one pitch period
	periods int     // how many of them period has
	at      int     // position in period
	lost    int     // samples invented since the last that were heard
	seam    int     // what the first invented sample lacks to continue the last heard one
}

// Durations of G.711 Appendix I.
const (
	concealHistory = 48750 * time.Microsecond
	concealLeast   = 5 * time.Millisecond
	concealMost    = 15 * time.Millisecond
	concealWindow  = 20 * time.Millisecond
	concealLoud    = 10 * time.Millisecond // how long at full level
	concealEnd     = 60 * time.Millisecond
)

func newConcealer(rate int) concealer {
	n := samples(concealHistory, rate)
	return concealer{rate: rate, history: make([]int16, n), period: make([]int16, 0, 3*samples(concealMost, rate))}
}

// heard takes note of sound that arrived. The first after a gap is blended, in place, with what was invented.
func (c *concealer) heard(pcm []int16) {
	if c.lost > 0 {
		blend := min(samples(5*time.Millisecond, c.rate), len(pcm))
		for i := range pcm[:blend] {
			pcm[i] = int16((int(c.invent())*(blend-i) + int(pcm[i])*i) / blend)
		}
		c.lost = 0
	}
	c.remember(pcm)
}

func (c *concealer) remember(pcm []int16) {
	if len(pcm) >= len(c.history) {
		copy(c.history, pcm[len(pcm)-len(c.history):])
		return
	}
	copy(c.history, c.history[len(pcm):])
	copy(c.history[len(c.history)-len(pcm):], pcm)
}

// fill invents sound.
func (c *concealer) fill(pcm []int16) {
	for i := range pcm {
		pcm[i] = c.invent()
	}
}

// invent makes the next sample.
func (c *concealer) invent() int16 {
	quarter := c.lag / 4
	if c.lost == 0 {
		c.begin()
		quarter = c.lag / 4
	} else if want := min(1+c.lost*100/c.rate, 3); want > c.periods && c.at%c.lag < c.lag-quarter {
		c.repeat(want)
	}
	end := samples(concealEnd, c.rate)
	if c.lost >= end {
		return 0
	}
	x := int(c.period[c.at])
	if c.lost < quarter {
		x += c.seam * (quarter - c.lost) / quarter
	}
	if loud := samples(concealLoud, c.rate); c.lost > loud {
		x = x * (end - c.lost) / (end - loud)
	}
	c.at = (c.at + 1) % len(c.period)
	c.lost++
	return clip(x)
}

// begin finds the pitch of the sound that was heard last.
func (c *concealer) begin() {
	window := samples(concealWindow, c.rate)
	c.lag, _ = pitch(c.history, len(c.history)-window, window, samples(concealLeast, c.rate), samples(concealMost, c.rate),
		pitchStep(c.rate))
	c.repeat(1)
	c.at = 0
	last := len(c.history) - 1
	c.seam = int(c.history[last]) - int(c.history[last-c.lag])
}

// repeat makes the last n pitch periods what is repeated. Its end is blended with what came before its beginning, so that
// it joins itself; the position stays where it is in the last period.
func (c *concealer) repeat(n int) {
	all, quarter := n*c.lag, c.lag/4
	begin := len(c.history) - all
	c.period = append(c.period[:0], c.history[begin:]...)
	crossfade(c.period[all-quarter:], c.history[len(c.history)-quarter:], c.history[begin-quarter:begin])
	c.at = c.at%c.lag + all - c.lag
	c.periods = n
}
