package siptest

import (
	"fmt"
	"math"
)

// rate is the sampling rate of G.711, and frame the samples of 20 ms.
const (
	rate  = 8000
	frame = rate / 50
)

// ulaw and alaw are ITU-T G.711; linear samples have 16 bits.
func ulawEncode(sample int16) byte {
	const bias, clip = 0x84, 32635
	x, sign := int(sample), byte(0)
	if x < 0 {
		x, sign = -x, 0x80
	}
	x = min(x, clip) + bias
	exponent := 7
	for mask := 0x4000; x&mask == 0 && exponent > 0; mask >>= 1 {
		exponent--
	}
	return ^(sign | byte(exponent<<4) | byte(x>>(exponent+3))&0x0f)
}

func ulawDecode(b byte) int16 {
	b = ^b
	x := (int(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		x = -x
	}
	return int16(x)
}

func alawEncode(sample int16) byte {
	x, sign := int(sample)>>4, byte(0x80)
	if x < 0 {
		x, sign = ^x, 0
	}
	if x > 15 {
		exponent := 1
		for x > 31 {
			x >>= 1
			exponent++
		}
		x += exponent<<4 - 16
	}
	return (sign | byte(x)) ^ 0x55
}

func alawDecode(b byte) int16 {
	b ^= 0x55
	x := int(b&0x0f)<<4 + 8
	if exponent := int(b >> 4 & 7); exponent > 0 {
		x = (x + 0x100) << (exponent - 1)
	}
	if b&0x80 == 0 {
		x = -x
	}
	return int16(x)
}

// law is a G.711 codec.
type law struct {
	encode func(int16) byte
	decode func(byte) int16
}

// lawOf gives the codec of an encoding name, nil for what this package has no voice for.
func lawOf(encoding string) *law {
	switch encoding {
	case "PCMU/8000":
		return &law{ulawEncode, ulawDecode}
	case "PCMA/8000":
		return &law{alawEncode, alawDecode}
	}
	return nil
}

// tone writes a sine of hz at about −13 dBm0 into samples, going on where phase stands.
func tone(samples []int16, hz float64, phase *float64) {
	for i := range samples {
		samples[i] = int16(7000 * math.Sin(*phase))
		*phase += 2 * math.Pi * hz / rate
	}
	*phase = math.Mod(*phase, 2*math.Pi)
}

// power is the share of the samples' energy that lies at hz (Goertzel): 1 for a pure tone.
func power(samples []int16, hz float64) float64 {
	coefficient := 2 * math.Cos(2*math.Pi*hz/rate)
	var s1, s2, total float64
	for _, x := range samples {
		s := float64(x) + coefficient*s1 - s2
		s2, s1 = s1, s
		total += float64(x) * float64(x)
	}
	if total == 0 {
		return 0
	}
	return 2 * (s1*s1 + s2*s2 - coefficient*s1*s2) / (total * float64(len(samples)))
}

// level is the root mean square.
func level(samples []int16) float64 {
	var total float64
	for _, x := range samples {
		total += float64(x) * float64(x)
	}
	return math.Sqrt(total / float64(max(1, len(samples))))
}

// describe says in words what samples sound like.
func describe(samples []int16) string {
	if len(samples) == 0 {
		return "nothing"
	}
	if level(samples) < 50 {
		return "silence"
	}
	best, at := 0.0, 0.0
	for hz := 50.0; hz < 3900; hz++ {
		if p := power(samples, hz); p > best {
			best, at = p, hz
		}
	}
	return fmt.Sprintf("%.0f Hz with %.0f %% of the energy at level %.0f", at, 100*best, level(samples))
}
