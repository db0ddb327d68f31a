package codec

import "github.com/zaf/g711"

// g711Decoder is PCMU or PCMA (ITU-T G.711), 8000 samples per second: a byte is a sample and a tick.
type g711Decoder struct {
	expand  func(uint8) int16 // static after construction
	conceal concealer
}

func newG711Decoder(n Name) *g711Decoder {
	d := &g711Decoder{expand: g711.DecodeUlawFrame, conceal: newConcealer(8000)}
	if n == PCMA {
		d.expand = g711.DecodeAlawFrame
	}
	return d
}

func (d *g711Decoder) Duration(payload []byte) int { return byteDuration(payload) }

// byteDuration is for codecs with one byte per tick of 1/8000 s.
func byteDuration(payload []byte) int {
	if len(payload) > samples(longest, 8000) {
		return 0
	}
	return len(payload)
}

func (d *g711Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	pcm = pcm[:len(payload)]
	for i, b := range payload {
		pcm[i] = d.expand(b)
	}
	d.conceal.heard(pcm)
	return len(pcm), nil
}

func (d *g711Decoder) Conceal(pcm []int16, _ []byte) bool {
	d.conceal.fill(pcm)
	return false
}

func (d *g711Decoder) Reset() {}

// g711Encoder is PCMU or PCMA; it has no state.
type g711Encoder struct{ compress func(int16) uint8 }

func newG711Encoder(n Name) *g711Encoder {
	if n == PCMA {
		return &g711Encoder{compress: g711.EncodeAlawFrame}
	}
	return &g711Encoder{compress: g711.EncodeUlawFrame}
}

func (e *g711Encoder) Encode(payload []byte, pcm []int16) (int, error) {
	payload = payload[:len(pcm)]
	for i, x := range pcm {
		payload[i] = e.compress(x)
	}
	return len(payload), nil
}

func (e *g711Encoder) SetLoss(int) {}
