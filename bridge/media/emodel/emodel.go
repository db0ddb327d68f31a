// Package emodel rates a voice connection by the E-model: ITU-T G.107 for narrowband speech, and its wideband and fullband
// forms G.107.1 and G.107.2. Pure arithmetic.
package emodel

import (
	"math"
	"strings"
	"time"
)

// Band is the speech band, and so the scale on which a codec is rated. Each band's best is near 4.4, as listeners who know no
// wider one judge: figures of two bands are not to be compared.
type Band uint8

const (
	Narrow Band = iota // G.107, R up to 93.2
	Wide               // G.107.1, R up to 129
	Full               // G.107.2, R up to 148
)

// Codec is what the model knows of a codec.
type Codec struct {
	Band Band
	Ie   float64 // equipment impairment
	Bpl  float64 // robustness against lost packets; far ends conceal them
}

// The codecs' values. G.711 is that of G.113 Appendix I with concealment; without it Bpl is 4.3. G.722 has the appendix' Ie of
// the wideband scale. For the robustness of G.722 and for Opus it gives none: they are taken to conceal as well as G.711 does,
// and Opus to be transparent.
const (
	g711Robust     = 25.1
	g722Impairment = 13
)

// Find gives the codec of a name in SDP; false for what is no voice codec of ours.
func Find(name string) (Codec, bool) {
	switch is := func(other string) bool { return strings.EqualFold(name, other) }; {
	case is("PCMU"), is("PCMA"):
		return Codec{Narrow, 0, g711Robust}, true
	case is("G722"):
		return Codec{Wide, g722Impairment, g711Robust}, true
	case is("opus"):
		return Codec{Full, 0, g711Robust}, true
	}
	return Codec{}, false
}

// Conditions are what a connection does to speech.
type Conditions struct {
	Delay time.Duration // one way, mouth to ear
	Loss  float64       // of packets, 0 to 1
	Burst float64       // BurstR: 1 or 0 for random loss, above it for losses that come together
}

// Rate gives the transmission rating on the band's scale, and the mean opinion score that it stands for (MOS-CQE).
func (c Codec) Rate(at Conditions) (r, mos float64) {
	ms := at.Delay.Seconds() * 1000
	loss := 100 * min(max(at.Loss, 0), 1)
	switch c.Band {
	case Wide:
		r = 129 - impairmentOfDelay(ms) - c.effective(95, loss, at.Burst)
		return r, MOS(r / 1.29)
	case Full:
		r = 148 - impairmentOfDelay(ms) - c.effective(132, loss, at.Burst)
		return r, MOS(r / 1.48)
	}
	r = narrowband(ms) - c.effective(95, loss, at.Burst)
	return r, MOS(r)
}

// effective is Ie-eff (G.107 (7-29)), on a scale whose losses weigh at most most.
func (c Codec) effective(most, loss, burst float64) float64 {
	return c.Ie + (most-c.Ie)*loss/(loss/max(burst, 1)+c.Bpl)
}

// MOS is G.107 Annex B.
func MOS(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

// The default values of G.107 Table 2 in dB, but for what Rate sets.
const (
	slr, rlr   = 8.0, 2.0    // send and receive loudness rating
	olr        = slr + rlr   // overall
	stmr, lstr = 15.0, 18.0  // sidetone masking, listener sidetone (STMR + Dr)
	ds         = 3.0         // D-value of the telephone at the send side
	telr, wepl = 65.0, 110.0 // echo loss for the talker, on the listener's path
	nc, nfor   = -70.0, -64.0
	ps, pr     = 35.0, 35.0 // room noise
	qdu        = 1.0
)

// narrowband is R without the codec: Ro - Is - Id (G.107 §7.1), with a delay in ms each way.
func narrowband(ms float64) float64 {
	no := noise()
	ro := 15 - 1.5*(slr+no)
	return ro - simultaneous(ro, no, ms) - talkerEcho(no, ms) - listenerEcho(ro, 2*ms) - impairmentOfDelay(ms)
}

// noise is No, all noise at the 0 dBr point (G.107 §7.2).
func noise() float64 {
	pre := pr + 10*math.Log10(1+power((10-lstr)/10))
	nos := ps - slr - ds - 100 + 0.004*square(ps-olr-ds-14)
	nor := rlr - 121 + pre + 0.008*square(pre-35)
	return 10 * math.Log10(power(nc/10)+power(nos/10)+power(nor/10)+power((nfor+rlr)/10))
}

// simultaneous is Is: loudness, sidetone, quantisation (G.107 §7.3).
func simultaneous(ro, no, ms float64) float64 {
	x := (olr + 0.2*(64+no-rlr)) / 8
	loud := 20 * (root(1+math.Pow(x, 8), 8) - x)

	st := -10 * math.Log10(power(-stmr/10)+math.Exp(-ms/4)*power(-telr/10))
	side := 12*root(1+math.Pow((st-13)/6, 8), 8) - 28*root(1+math.Pow((st+1)/19.4, 35), 35) -
		13*root(1+math.Pow((st-3)/33, 13), 13) + 29

	q := 37 - 15*math.Log10(qdu)
	g := 1.07 + 0.258*q + 0.0602*q*q
	y := (ro-100)/15 + 46/8.4 - g/9
	z := 46.0/30 - g/40
	return loud + side + 15*math.Log10(1+power(y)+power(z))
}

// talkerEcho is Idte (G.107 §7.4).
func talkerEcho(no, ms float64) float64 {
	terv := telr - 40*math.Log10((1+ms/10)/(1+ms/150)) + 6*math.Exp(-0.3*ms*ms)
	d := -1.5*(no-rlr) - (80 + 2.5*(terv-14))
	return (d/2 + math.Sqrt(d*d/4+100) - 1) * (1 - math.Exp(-ms))
}

// listenerEcho is Idle, with the round trip (G.107 §7.4).
func listenerEcho(ro, trip float64) float64 {
	d := ro - 10.5*(wepl+7)*math.Pow(trip+1, -0.25)
	return d/2 + math.Sqrt(d*d/4+169)
}

// impairmentOfDelay is Idd, of a delay that even without echo is too long (G.107 §7.4).
func impairmentOfDelay(ms float64) float64 {
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (root(1+math.Pow(x, 6), 6) - 3*root(1+math.Pow(x/3, 6), 6) + 2)
}

func power(x float64) float64       { return math.Pow(10, x) }
func square(x float64) float64      { return x * x }
func root(x float64, n int) float64 { return math.Pow(x, 1/float64(n)) }
