package wsstest

import (
	"math"
	"math/bits"
)

// tone is a sine at 8 kHz.
type tone struct {
	hz    float64
	phase float64
}

const amplitude = 8000

func (t *tone) next(samples int, encode func(int16) byte) []byte {
	out := make([]byte, samples)
	for i := range out {
		out[i] = encode(int16(amplitude * math.Sin(t.phase)))
		t.phase = math.Mod(t.phase+2*math.Pi*t.hz/8000, 2*math.Pi)
	}
	return out
}

// goertzel is the share of the energy that is at hz: 1 for a pure tone, 0 for none.
func goertzel(samples []float64, hz float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	coefficient := 2 * math.Cos(2*math.Pi*hz/8000)
	var s1, s2, energy float64
	for _, x := range samples {
		s1, s2 = x+coefficient*s1-s2, s1
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	power := s1*s1 + s2*s2 - coefficient*s1*s2
	return 2 * power / (float64(len(samples)) * energy)
}

func rms(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	var energy float64
	for _, x := range samples {
		energy += x * x
	}
	return math.Sqrt(energy / float64(len(samples)))
}

func decode(payload []byte, linear func(byte) int16) []float64 {
	out := make([]float64, len(payload))
	for i, c := range payload {
		out[i] = float64(linear(c))
	}
	return out
}

// G.711 (ITU-T G.711, 14 and 13 bit samples in 16).
const mulawBias = 0x84

func linearToMulaw(sample int16) byte {
	v, sign := int(sample), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + mulawBias
	exponent := bits.Len(uint(v>>7)) - 1
	mantissa := byte(v>>(exponent+3)) & 0x0f
	return ^(sign | byte(exponent)<<4 | mantissa)
}

func mulawToLinear(c byte) int16 {
	c = ^c
	v := (int(c&0x0f)<<3+mulawBias)<<(c>>4&7) - mulawBias
	if c&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

func linearToAlaw(sample int16) byte {
	v, sign := int(sample), byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	var c byte
	if v < 256 {
		c = byte(v >> 4)
	} else {
		exponent := bits.Len(uint(v>>8)) - 1
		c = byte(exponent+1)<<4 | byte(v>>(exponent+4))&0x0f
	}
	return (c | sign) ^ 0x55
}

func alawToLinear(c byte) int16 {
	c ^= 0x55
	v := int(c&0x0f)<<4 + 8
	if exponent := c >> 4 & 7; exponent > 0 {
		v = (v + 256) << (exponent - 1)
	}
	if c&0x80 == 0 {
		v = -v
	}
	return int16(v)
}
