package codec

import (
	"math/bits"
	"testing"
)

// expandLaw is a code's value by the formulas of ITU-T G.711 tables 1 and 2, scaled to 16 bits.
func expandLaw(n Name, code uint8) int {
	if n == PCMU {
		code = ^code
		value := ((int(code&15)<<3 + 0x84) << (code >> 4 & 7)) - 0x84
		if code&0x80 != 0 {
			return -value
		}
		return value
	}
	code ^= 0x55
	value := int(code&15)<<4 + 8
	if segment := code >> 4 & 7; segment > 0 {
		value = (value + 0x100) << (segment - 1)
	}
	if code&0x80 == 0 {
		return -value
	}
	return value
}

// compressLaw is a sample's code by the decision values of the same tables.
func compressLaw(n Name, x int) uint8 {
	sign := uint8(0x80)
	if x < 0 {
		sign, x = 0, -x
	}
	if n == PCMU {
		x = min(x, 32635) + 0x84
		segment := bits.Len(uint(x)) - 8
		return ^(0x80 ^ sign | uint8(segment)<<4 | uint8(x>>(segment+3)&15))
	}
	x = min(x, 32767)
	segment := max(bits.Len(uint(x))-8, 0)
	return (sign | uint8(segment)<<4 | uint8(x>>max(segment+3, 4)&15)) ^ 0x55
}

// Every code has the value of the formula, and every sample the code of its interval, whose edges are true to the 13 bits
// that the laws have.
func TestG711(t *testing.T) {
	for _, n := range []Name{PCMU, PCMA} {
		d, e := newG711Decoder(n), newG711Encoder(n)
		for code := range 256 {
			var pcm [1]int16
			if _, err := d.Decode(pcm[:], []byte{byte(code)}); err != nil {
				t.Fatal(err)
			}
			if want := expandLaw(n, byte(code)); int(pcm[0]) != want {
				t.Fatalf("%s: code %#x is %d, want %d", n, code, pcm[0], want)
			}
		}
		for x := -32768; x < 32768; x++ {
			var payload [1]byte
			if _, err := e.Encode(payload[:], []int16{int16(x)}); err != nil {
				t.Fatal(err)
			}
			near := false
			for edge := -8; edge <= 8; edge++ {
				near = near || payload[0] == compressLaw(n, x+edge)
			}
			if !near {
				t.Fatalf("%s: %d became %#x, want %#x", n, x, payload[0], compressLaw(n, x))
			}
		}
	}
}
