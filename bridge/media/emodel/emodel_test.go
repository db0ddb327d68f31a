package emodel

import (
	"math"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s is %.3f, want %.3f", what, got, want)
	}
}

// G.107 §7.7: with all parameters at their defaults R is 93.2.
func TestDefaultRating(t *testing.T) {
	r, mos := Codec{Narrow, 0, 4.3}.Rate(Conditions{})
	near(t, "R", r, 93.2, 0.05)
	near(t, "MOS", mos, 4.41, 0.005)
}

// G.107 Table B.1.
func TestMOSOfRating(t *testing.T) {
	for r, want := range map[float64]float64{
		90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58, 0: 1, -5: 1, 100: 4.5, 120: 4.5,
	} {
		near(t, "MOS", MOS(r), want, 0.0065) // the table says 4.03 where the formula gives 4.024
	}
}

// The formula never falls while R rises: below 6.5 Annex B's polynomial would leave the scale.
func TestMOSIsMonotonic(t *testing.T) {
	last := 1.0
	for r := -10.0; r < 110; r += 0.25 {
		if mos := MOS(r); mos < last || mos > 4.5 {
			t.Fatalf("R %.2f: MOS %.4f after %.4f", r, mos, last)
		} else {
			last = mos
		}
	}
}

// G.113 Appendix I gives the equipment impairment of G.711 with concealment at random loss by table; the formula with its
// Bpl runs through these.
func TestPacketLoss(t *testing.T) {
	g711, _ := Find("PCMU")
	for loss, want := range map[float64]float64{0: 0, 1: 5, 2: 7, 3: 10, 5: 15, 7: 20, 10: 25, 15: 35, 20: 45} {
		near(t, "Ie-eff with concealment", g711.effective(95, loss, 1), want, 3.5)
	}
	bare := Codec{Narrow, 0, 4.3}
	for loss, want := range map[float64]float64{0: 0, 1: 25, 2: 35, 3: 45, 5: 55} {
		near(t, "Ie-eff without", bare.effective(95, loss, 1), want, 8)
	}
	random := g711.effective(95, 5, 1)
	if together := g711.effective(95, 5, 2); together <= random {
		t.Errorf("losses that come together weigh %.2f, random ones %.2f", together, random)
	}
}

// G.114 Figure 1: delay alone, without echo to speak of.
func TestDelay(t *testing.T) {
	g711, _ := Find("pcma")
	for ms, want := range map[time.Duration]float64{0: 93, 100: 91, 150: 89.5, 200: 87, 250: 81, 300: 75, 400: 67, 500: 59} {
		r, _ := g711.Rate(Conditions{Delay: ms * time.Millisecond})
		near(t, "R", r, want, 5)
	}
}

func TestBands(t *testing.T) {
	for name, want := range map[string]struct{ r, mos float64 }{
		"G722": {116, 4.34}, "opus": {148, 4.5}, "PCMA": {93.2, 4.41},
	} {
		c, ok := Find(name)
		if !ok {
			t.Fatalf("%s is not known", name)
		}
		r, mos := c.Rate(Conditions{})
		near(t, name+" R", r, want.r, 0.1)
		near(t, name+" MOS", mos, want.mos, 0.01)
		if _, lossy := c.Rate(Conditions{Loss: 0.05}); lossy >= mos-0.1 {
			t.Errorf("%s: 5%% loss costs %.2f only", name, mos-lossy)
		}
		if _, worst := c.Rate(Conditions{Loss: 7, Delay: time.Hour}); worst != 1 {
			t.Errorf("%s: nothing is left, and MOS is %.2f", name, worst)
		}
	}
	if _, ok := Find("VP8"); ok {
		t.Error("VP8 is rated as voice")
	}
}
