package codec

import "math"

// Resampler changes the rate of one stream by a whole factor, up or down, with a polyphase FIR: within 0.3 dB to 85 % of
// the lower rate's band (3400 of 4000 Hz), and at least 60 dB down from 115 % of it on.
type Resampler struct {
	up, down int // one of them is 1
	taps     []int32
	history  []int16 // as many as a phase has taps, less one
	work     []int16 // history and the block
}

// resamplerReach is how many zero crossings of the sinc lie on each side of its middle.
const resamplerReach = 20

// NewResampler returns nil if the rates are equal, which passes sound as it is. longest is the greatest block in samples.
func NewResampler(from, to, longest int) *Resampler {
	if from == to {
		return nil
	}
	r := &Resampler{up: max(to/from, 1), down: max(from/to, 1)}
	factor := max(r.up, r.down)
	r.taps = lowPass(factor, r.up)
	phase := len(r.taps) / r.up
	r.history = make([]int16, phase-1)
	r.work = make([]int16, phase-1+longest)
	return r
}

// lowPass is a windowed sinc (Kaiser, β 6) that passes the band of 1/factor, with a gain, in Q15; its length is a
// multiple of factor.
func lowPass(factor, gain int) []int32 {
	const beta = 6
	n := 2 * resamplerReach * factor
	taps := make([]int32, n)
	ideal := make([]float64, n)
	sum := 0.0
	for i := range ideal {
		x := (float64(i) - float64(n-1)/2) / float64(factor)
		w := 2*float64(i)/float64(n-1) - 1
		ideal[i] = bessel(beta*math.Sqrt(1-w*w)) * math.Sin(math.Pi*x) / (math.Pi * x)
		sum += ideal[i]
	}
	for i := range taps {
		taps[i] = int32(math.Round(ideal[i] / sum * float64(gain) * (1 << 15)))
	}
	return taps
}

// bessel is the modified Bessel function of the first kind and order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / 2 / k * x / 2 / k
		sum += term
	}
	return sum
}

// Run appends what pcm becomes to out. The number of samples in pcm is a multiple of the factor where it goes down.
func (r *Resampler) Run(out, pcm []int16) []int16 {
	if r == nil {
		return append(out, pcm...)
	}
	work := r.work[:len(r.history)+len(pcm)]
	copy(work, r.history)
	copy(work[len(r.history):], pcm)
	phase := len(r.taps) / r.up
	for i := 0; i+phase <= len(work); i += r.down {
		for p := range r.up {
			var sum int64
			k := len(r.taps) - r.up + p
			for _, x := range work[i : i+phase] {
				sum += int64(x) * int64(r.taps[k])
				k -= r.up
			}
			out = append(out, clip(int((sum+1<<14)>>15)))
		}
	}
	copy(r.history, work[len(pcm):])
	return out
}

// Reset says that what comes next does not follow what came last.
func (r *Resampler) Reset() {
	if r != nil {
		clear(r.history)
	}
}
