package wsstest

import (
	"math"
	"testing"
)

func TestG711(t *testing.T) {
	for name, law := range map[string]struct {
		encode func(int16) byte
		decode func(byte) int16
		silent byte
	}{
		"mu-law": {linearToMulaw, mulawToLinear, 0xff},
		"A-law":  {linearToAlaw, alawToLinear, 0xd5},
	} {
		if got := law.encode(0); got != law.silent {
			t.Errorf("%s: silence is %#x, want %#x", name, got, law.silent)
		}
		for c := range 256 {
			linear := law.decode(byte(c))
			if back := law.decode(law.encode(linear)); back != linear {
				t.Errorf("%s: %#x is %d, and %d after another round", name, c, linear, back)
			}
		}
		for v := -32768; v <= 32767; v += 7 {
			got := float64(law.decode(law.encode(int16(v))))
			if diff := math.Abs(got - float64(v)); diff > 32+math.Abs(float64(v))/16 {
				t.Errorf("%s: %d becomes %.0f", name, v, got)
			}
		}
	}
}

func TestGoertzel(t *testing.T) {
	for _, hz := range []float64{300, 440, 800, 1000, 2600} {
		for name, law := range map[string]struct {
			encode func(int16) byte
			decode func(byte) int16
		}{"mu-law": {linearToMulaw, mulawToLinear}, "A-law": {linearToAlaw, alawToLinear}} {
			heard := decode((&tone{hz: hz}).next(window, law.encode), law.decode)
			if share := goertzel(heard, hz); share < 0.98 || share > 1.01 {
				t.Errorf("%s %.0f Hz: share %.3f at its own frequency", name, hz, share)
			}
			if share := goertzel(heard, hz+100); share > 0.02 {
				t.Errorf("%s %.0f Hz: share %.3f at %.0f Hz", name, hz, share, hz+100)
			}
		}
	}
	noise := make([]float64, window)
	for i := range noise {
		noise[i] = float64((i*7919+i*i*104729)%2001 - 1000)
	}
	if share := goertzel(noise, 440); share > 0.2 {
		t.Errorf("noise has a share of %.3f at 440 Hz", share)
	}
	if goertzel(make([]float64, window), 440) != 0 || goertzel(nil, 440) != 0 {
		t.Error("silence is no tone")
	}
}
