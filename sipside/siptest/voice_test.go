package siptest

import (
	"math"
	"strings"
	"testing"
)

func TestG711(t *testing.T) {
	for name, codec := range map[string]*law{"PCMU": lawOf("PCMU/8000"), "PCMA": lawOf("PCMA/8000")} {
		for x := -32000; x <= 32000; x += 7 {
			got := int(codec.decode(codec.encode(int16(x))))
			if limit := 16 + math.Abs(float64(x))/16; math.Abs(float64(got-x)) > limit {
				t.Fatalf("%s: %d comes back as %d", name, x, got)
			}
		}
		for b := range 256 {
			if again := codec.encode(codec.decode(byte(b))); again != byte(b) && !(name == "PCMU" && b == 0x7f) { // −0 is 0
				t.Errorf("%s: code %#x comes back as %#x", name, b, again)
			}
		}
	}
	// ITU-T G.711: the code words of silence and of the loudest sample.
	for _, tt := range []struct {
		got  byte
		want byte
	}{{ulawEncode(0), 0xff}, {ulawEncode(32767), 0x80}, {ulawEncode(-32768), 0x00}, {alawEncode(0), 0xd5}, {alawEncode(32767), 0xaa}, {alawEncode(-32768), 0x2a}} {
		if tt.got != tt.want {
			t.Errorf("code %#x, want %#x", tt.got, tt.want)
		}
	}
}

func TestPowerTellsTonesApart(t *testing.T) {
	samples, phase := make([]int16, window), 0.0
	tone(samples, 1004, &phase)
	if p := power(samples, 1004); p < 0.99 {
		t.Errorf("a tone has %.2f of its energy at its frequency", p)
	}
	for _, hz := range []float64{425, 900, 1100, 2008} {
		if p := power(samples, hz); p > 0.01 {
			t.Errorf("1004 Hz has %.2f of its energy at %v Hz", p, hz)
		}
	}
	if d := describe(samples); !strings.HasPrefix(d, "1004 Hz") {
		t.Errorf("described as %s", d)
	}
	if d := describe(make([]int16, window)); d != "silence" {
		t.Errorf("silence described as %s", d)
	}
}
