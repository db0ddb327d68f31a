package codec

import (
	"math/rand"
	"testing"
)

// Whatever part of a voice is lost, what is heard has no click: it bends nowhere much more than the voice itself.
func TestConcealedVoiceHasNoClick(t *testing.T) {
	for _, n := range []Name{PCMU, PCMA, G722} {
		for _, percent := range []int{5, 10, 20} {
			rate := n.Rate()
			d, _, err := NewDecoder(n, rate)
			if err != nil {
				t.Fatal(err)
			}
			e, err := NewEncoder(Spec{Name: n}, rate)
			if err != nil {
				t.Fatal(err)
			}
			payloads := encodeAll(e, speech(rate, 5*rate), rate/50)
			whole := decodeAll(d, payloads, rate)
			if d, _, err = NewDecoder(n, rate); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewSource(int64(percent)))
			var heard []int16
			pcm := make([]int16, samples(longest, rate))
			for _, p := range payloads {
				if r.Intn(100) < percent {
					d.Conceal(pcm[:rate/50], nil)
				} else if _, err := d.Decode(pcm, p); err != nil {
					t.Fatal(err)
				}
				heard = append(heard, pcm[:rate/50]...)
			}
			if got, was := sharpest(heard), sharpest(whole); got > was*3/2 {
				t.Errorf("%s, %d %% lost: bends by %d, the voice by %d", n, percent, got, was)
			}
			if loss := decibel(rms(heard) / rms(whole)); loss < -float64(percent)/10-0.5 || loss > 1 {
				t.Errorf("%s, %d %% lost: %.1f dB", n, percent, loss)
			}
		}
	}
}

// A tone goes on through one lost packet as if nothing was lost; a long loss ends in silence.
func TestConcealedTone(t *testing.T) {
	d := newG711Decoder(PCMU)
	payloads := encodeAll(newG711Encoder(PCMU), tone(440, 8000, 8000, 1600), 160)
	decodeAll(d, payloads, 8000)
	pcm := make([]int16, 960)
	d.Conceal(pcm, nil)
	if level := decibel(power(pcm[:160], 440, 8000) / 8000); level < -2 || level > 0.5 {
		t.Errorf("after the loss: %.1f dB", level)
	}
	if loud := rms(pcm[480:]); loud != 0 {
		t.Errorf("after 60 ms the level is still %.0f", loud)
	}
}

// A stretched voice has no click either, and is shorter or longer.
func TestStretchedVoiceHasNoClick(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		pcm := speech(rate, 5*rate)
		var short, long []int16
		frame := make([]int16, rate/50, rate/10)
		for i := 0; i+len(frame) <= len(pcm); i += len(frame) {
			copy(frame, pcm[i:])
			short = append(short, shorten(frame, rate, false)...)
			copy(frame, pcm[i:])
			long = append(long, lengthen(frame, rate)...)
		}
		if len(short) > len(pcm)*9/10 || len(long) < len(pcm)*11/10 {
			t.Errorf("%d Hz: %d samples became %d and %d", rate, len(pcm), len(short), len(long))
		}
		for _, s := range [][]int16{short, long} {
			if got, was := sharpest(s), sharpest(pcm); got > was*5/4 {
				t.Errorf("%d Hz: bends by %d, the voice by %d", rate, got, was)
			}
		}
	}
}
