package codec

import (
	"encoding/binary"
	"testing"
	"time"
)

// fuzzDecoder is what every decoder must bear: any payload, in any state, between losses.
func fuzzDecoder(f *testing.F, n Name, rate int, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s, s)
	}
	f.Add([]byte{}, []byte{0xff})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, rate, err := NewDecoder(n, rate)
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, samples(longest, rate))
		for _, payload := range [][]byte{first, second, first} {
			ticks := d.Duration(payload)
			if ticks < 0 || ticks > samples(longest, n.Clock()) {
				t.Fatalf("%d ticks", ticks)
			}
			d.Conceal(pcm[:rate/50], payload)
			if ticks == 0 || len(payload) > longestPayload {
				continue
			}
			if got, err := d.Decode(pcm, payload); err == nil && got != ticks*rate/n.Clock() {
				t.Fatalf("%d samples for %d ticks", got, ticks)
			}
			d.Conceal(pcm[:rate/100], nil)
		}
	})
}

func FuzzDecodePCMU(f *testing.F) { fuzzDecoder(f, PCMU, 8000, []byte{0, 0x7f, 0x80, 0xff}) }
func FuzzDecodePCMA(f *testing.F) { fuzzDecoder(f, PCMA, 8000, []byte{0x55, 0xd5, 0x2a, 0xaa}) }
func FuzzDecodeG722(f *testing.F) { fuzzDecoder(f, G722, 16000, []byte{0xfa, 0xde, 0, 0x3f}) }

func FuzzDecodeOpus(f *testing.F) {
	fuzzDecoder(f, Opus, 8000, browserPackets(f, speech(48000, 4800), 48000)...)
}

func FuzzDecodeOpusWide(f *testing.F) {
	fuzzDecoder(f, Opus, 16000, browserPackets(f, speech(16000, 1600), 16000)...)
}

// FuzzTranscoder reads a history of a stream from bytes: for each packet a kind, how much later it comes, what its sequence
// number and timestamp jump by, and its payload.
func FuzzTranscoder(f *testing.F) {
	f.Add([]byte{0, 5, 0, 1, 0, 160, 2, 0xff, 0x7f, 0, 5, 0, 1, 0, 160, 0, 0, 5, 0, 3, 1, 224, 1, 0xff})
	f.Add([]byte{1, 255, 127, 255, 255, 255, 0, 2, 0, 128, 0, 128, 0, 0, 3, 60, 0, 0, 0, 0, 0})
	var voice []byte
	for _, p := range browserPackets(f, speech(16000, 1600), 16000) {
		voice = append(append(voice, 0, 5, 0, 1, 3, 192, byte(len(p))), p...)
	}
	f.Add(voice)
	f.Fuzz(func(t *testing.T, history []byte) {
		for from := PCMU; from <= Opus; from++ {
			fuzzTranscoder(t, transcoder(t, Spec{Name: from}, Spec{Name: PCMA}), history)
		}
	})
}

func fuzzTranscoder(t *testing.T, tr *Transcoder, h []byte) {
	now, sequence, timestamp := time.Duration(0), uint16(0), uint32(0)
	for len(h) >= 7 {
		now += time.Duration(h[1]) * 4 * time.Millisecond
		sequence += binary.BigEndian.Uint16(h[2:])
		jump := int32(int16(binary.BigEndian.Uint16(h[4:])))
		if h[0]&0x80 != 0 {
			jump <<= 16
		}
		timestamp += uint32(jump)
		payload := h[7:min(7+int(h[6]), len(h))]
		tr.Push(Arrival{Kind: Kind(h[0] & 3), Sequence: sequence, Timestamp: timestamp, SSRC: uint32(h[0] >> 2 & 1), Payload: payload}, now)
		h = h[7+len(payload):]
		// 200 ms are made up for: ten packets.
		for made := 0; ; made++ {
			d, ok := tr.Pull(now)
			if !ok {
				break
			}
			if len(d.Payload) != 160 || made > 11 {
				t.Fatalf("packet %d at once, of %d bytes", made, len(d.Payload))
			}
		}
	}
}
