package lab

import (
	"bytes"
	"encoding/binary"
	"math"
)

// ToneHz is what sipp and baresip send.
const ToneHz = 700

// toneAt is the i-th sample at a rate.
func toneAt(i, rate int) int16 {
	return int16(12000 * math.Sin(2*math.Pi*ToneHz*float64(i)/float64(rate)))
}

// toneWAV is a RIFF file of 16-bit PCM.
func toneWAV(seconds, rate, channels int) []byte {
	size := seconds * rate * channels * 2
	b := append([]byte("RIFF"), make([]byte, 40)...)
	binary.LittleEndian.PutUint32(b[4:], uint32(36+size))
	copy(b[8:], "WAVEfmt ")
	binary.LittleEndian.PutUint32(b[16:], 16)
	binary.LittleEndian.PutUint16(b[20:], 1)
	binary.LittleEndian.PutUint16(b[22:], uint16(channels))
	binary.LittleEndian.PutUint32(b[24:], uint32(rate))
	binary.LittleEndian.PutUint32(b[28:], uint32(rate*channels*2))
	binary.LittleEndian.PutUint16(b[32:], uint16(channels*2))
	binary.LittleEndian.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	binary.LittleEndian.PutUint32(b[40:], uint32(size))
	var second []byte // as every other: whole periods
	for i := range rate {
		for range channels {
			second = binary.LittleEndian.AppendUint16(second, uint16(toneAt(i, rate)))
		}
	}
	return append(b, bytes.Repeat(second, seconds)...)
}

// toneALaw is one second of it in G.711 A-law.
func toneALaw() []byte {
	out := make([]byte, 8000)
	for i := range out {
		out[i] = aLaw(int(toneAt(i, 8000)))
	}
	return out
}

// aLaw encodes a 16-bit sample (ITU-T G.711).
func aLaw(sample int) byte {
	sign := byte(0x80)
	if sample < 0 {
		sign, sample = 0, -sample-1
	}
	sample >>= 4
	segment, mantissa := 0, sample>>1
	for s := sample >> 5; s > 0; s >>= 1 {
		segment++
	}
	if segment > 0 {
		mantissa = sample >> segment
	}
	return (sign | byte(segment<<4) | byte(mantissa&0x0f)) ^ 0x55
}
