package codec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// referenceSignal is noise through a changing low pass at changing levels, in integers only.
func referenceSignal(n int) []int16 {
	out := make([]int16, n)
	seed, y := uint32(1), 0
	for i := range out {
		seed = seed*1664525 + 1013904223
		a := i / 1600 % 8
		y = y*a + int(seed>>16) - 32768
		if y < 0 {
			y -= a // the quotient is rounded down
		}
		y /= a + 1
		out[i] = int16(y * [8]int{1, 3, 9, 27, 81, 27, 9, 3}[i/3200%8] / 162)
	}
	return out
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// What spandsp 0.0.6, an implementation that passes the Recommendation's test sequences, makes of the same signal:
// g722_encode and g722_decode at 64000 bit/s.
func TestG722BitExact(t *testing.T) {
	pcm := referenceSignal(64000)
	raw, err := binary.Append(nil, binary.LittleEndian, pcm)
	if err != nil {
		t.Fatal(err)
	}
	if got := hash(raw); got != "fa894dd111964f6541e93515c3c2fd2b5c1208c6cc9a617b1abc38589abea495" {
		t.Fatalf("another signal: %s", got)
	}
	var coded []byte
	for _, p := range encodeAll(newG722Encoder(), pcm, 320) {
		coded = append(coded, p...)
	}
	if got := hash(coded); got != "02c822f58b64e9e12493f3fddb23ccaa2e3be8fd45fae07b9940964c36ae8669" {
		t.Errorf("coded: %s, begins %x", got, coded[:16])
	}
	var payloads [][]byte
	for i := 0; i < len(coded); i += 160 {
		payloads = append(payloads, coded[i:i+160])
	}
	raw, err = binary.Append(nil, binary.LittleEndian, decodeAll(newG722Decoder(), payloads, 16000))
	if err != nil {
		t.Fatal(err)
	}
	if got := hash(raw); got != "eb825b19ef555905778537f5a3fdcf3afaadadf9a7c9857e898fde508fecb941" {
		t.Errorf("decoded: %s", got)
	}
}

// What is too loud is clipped; the references wrap around and crackle.
func TestG722Clips(t *testing.T) {
	pcm := tone(1000, 32767, 16000, 16000)
	out := decodeAll(newG722Decoder(), encodeAll(newG722Encoder(), pcm, 320), 16000)
	if bend := sharpest(out[1600:]); bend > 2*sharpest(pcm) {
		t.Errorf("a full-scale tone bends by %d, by %d before", bend, sharpest(pcm))
	}
}
