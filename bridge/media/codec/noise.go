package codec

import "math"

// noise is comfort noise of a level that a CN packet said (RFC 3389).
type noise struct {
	seed  uint32
	level int32 // peak amplitude; 0 is silence
	last  int32
}

// describe takes the payload of a CN packet: its first byte is the level in -dBov; the spectrum behind it is passed over.
func (n *noise) describe(payload []byte) {
	if len(payload) == 0 {
		n.level = 0
		return
	}
	// White noise between -a and a has the root mean square a/√3, and its mean with the sample before a third.
	n.level = int32(min(3*32768*math.Pow(10, -float64(payload[0]&0x7f)/20), 20000))
}

// fill makes noise.
func (n *noise) fill(pcm []int16) {
	for i := range pcm {
		n.seed = n.seed*1664525 + 1013904223
		white := int32(int64(int32(n.seed)) * int64(n.level) >> 31)
		n.last = (n.last + white) / 2
		pcm[i] = clip(int(n.last))
	}
}
