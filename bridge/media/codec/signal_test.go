package codec

import (
	"math"
	"math/rand"
	"time"
)

// tone is a sine of so many samples at a rate.
func tone(hertz float64, amplitude float64, rate, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return out
}

// speech is like a voice: pulses of a gliding pitch through two moving formants, hisses, pauses.
func speech(rate, n int) []int16 {
	out := make([]int16, n)
	r := rand.New(rand.NewSource(1))
	var y1, y2, z1, z2, phase float64
	for i := range out {
		t := float64(i) / float64(rate)
		phase += (120 + 40*math.Sin(2*math.Pi*0.7*t)) / float64(rate)
		x := 0.0
		if phase >= 1 {
			phase, x = phase-1, 1
		}
		if math.Sin(2*math.Pi*2.1*t) > 0.6 {
			x = 0.08 * r.NormFloat64()
		}
		f1, f2 := 500+300*math.Sin(2*math.Pi*1.1*t), 1500+700*math.Sin(2*math.Pi*0.9*t)
		y := x + 2*0.97*math.Cos(2*math.Pi*f1/float64(rate))*y1 - 0.97*0.97*y2
		y2, y1 = y1, y
		z := y + 2*0.96*math.Cos(2*math.Pi*f2/float64(rate))*z1 - 0.96*0.96*z2
		z2, z1 = z1, z
		loud := math.Max(0, math.Sin(2*math.Pi*1.3*t)) * 2500
		out[i] = clip(int(z*loud + 3*r.NormFloat64()))
	}
	return out
}

// power of one frequency in pcm, as the amplitude of a sine (Goertzel, with a Hann window).
func power(pcm []int16, hertz float64, rate int) float64 {
	var re, im float64
	n := len(pcm)
	for i, x := range pcm {
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(n))
		s, c := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		re += w * float64(x) * c
		im += w * float64(x) * s
	}
	return 2 * math.Hypot(re, im) / float64(n)
}

func decibel(ratio float64) float64 { return 20 * math.Log10(ratio) }

func rms(pcm []int16) float64 { return math.Sqrt(correlate(pcm, pcm, 1) / float64(max(len(pcm), 1))) }

// sharpest is the greatest change of slope, which a click has and a voice has not.
func sharpest(pcm []int16) int {
	most := 0
	for i := 2; i < len(pcm); i++ {
		bend := int(pcm[i]) - 2*int(pcm[i-1]) + int(pcm[i-2])
		most = max(most, bend, -bend)
	}
	return most
}

// encodeAll codes a signal with a codec at a rate in packets of ptime.
func encodeAll(e Encoder, pcm []int16, packet int) [][]byte {
	var all [][]byte
	var payload [longestPayload]byte
	for ; len(pcm) >= packet; pcm = pcm[packet:] {
		n, err := e.Encode(payload[:], pcm[:packet])
		if err != nil {
			panic(err)
		}
		all = append(all, append([]byte(nil), payload[:n]...))
	}
	return all
}

func decodeAll(d Decoder, payloads [][]byte, rate int) []int16 {
	var all []int16
	pcm := make([]int16, samples(longest, rate))
	for _, p := range payloads {
		n, err := d.Decode(pcm, p)
		if err != nil {
			panic(err)
		}
		all = append(all, pcm[:n]...)
	}
	return all
}

// network carries payloads of one packet each ptime into a transcoder, and takes out what it makes. fate says for each
// packet when it arrives, as its delay, negative for never.
func network(t *Transcoder, payloads [][]byte, ptime time.Duration, fate func(i int) time.Duration) [][]byte {
	var out [][]byte
	ticks := samples(ptime, t.from.Name.Clock())
	type event struct {
		at time.Duration
		i  int
	}
	var events []event
	for i := range payloads {
		if d := fate(i); d >= 0 {
			events = append(events, event{time.Duration(i)*ptime + d, i})
		}
	}
	end := time.Duration(len(payloads)) * ptime
	for now := time.Duration(0); now <= end; now += time.Millisecond {
		for _, e := range events {
			if e.at > now-time.Millisecond && e.at <= now {
				t.Push(Arrival{Sequence: uint16(65500 + e.i), Timestamp: uint32(4294960000 + e.i*ticks), SSRC: 7, Payload: payloads[e.i]}, e.at)
			}
		}
		for d, ok := t.Pull(now); ok; d, ok = t.Pull(now) {
			out = append(out, append([]byte(nil), d.Payload...))
		}
	}
	return out
}

func inTime(int) time.Duration { return 0 }
