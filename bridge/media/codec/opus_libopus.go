//go:build libopus && cgo

package codec

import "github.com/hraban/opus"

// opusDecoder is Opus (RFC 6716) by libopus. It decodes at the rate that is wanted, and stereo to mono.
type opusDecoder struct {
	decoder *opus.Decoder
	rate    int // static after construction
}

func newOpusDecoder(rate int) (*opusDecoder, error) {
	d, err := opus.NewDecoder(rate, 1)
	return &opusDecoder{decoder: d, rate: rate}, err
}

func (d *opusDecoder) Duration(payload []byte) int { return opusDuration(payload) }

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (int, error) {
	return d.decoder.Decode(payload, pcm[:samples(longest, d.rate)])
}

func (d *opusDecoder) Conceal(pcm []int16, next []byte) bool {
	if opusHasFEC(next) && d.decoder.DecodeFEC(next, pcm) == nil {
		return true
	}
	if d.decoder.DecodePLC(pcm) != nil {
		clear(pcm)
	}
	return false
}

// opusHasFEC says whether the first frame of a packet holds redundancy for the one before: in SILK its first bits are the
// voice activity of each 20 ms and then that flag, for each channel (RFC 6716 §4.2.3 and §4.2.4).
func opusHasFEC(payload []byte) bool {
	if len(payload) < 2 || payload[0]>>3 >= 16 || payload[0]&3 > 1 {
		return false
	}
	frames := max(opusFrame(payload[0]>>3)/960, 1)
	mid, side := byte(0x80)>>frames, byte(0x80)>>(2*frames+1)
	return payload[1]&mid != 0 || payload[0]&4 != 0 && payload[1]&side != 0
}

// Reset makes a new state, since the library has no way to clear one; if it cannot, the old one goes on.
func (d *opusDecoder) Reset() {
	if fresh, err := opus.NewDecoder(d.rate, 1); err == nil {
		d.decoder = fresh
	}
}

// opusComplexity costs with libopus about what gopus costs at 0.
const opusComplexity = 5

// opusEncoder is Opus by libopus: voice, and a variable bit rate.
type opusEncoder struct {
	encoder *opus.Encoder
	rate    int  // static after construction
	fec     bool // static after construction
}

func newOpusEncoder(rate, _ int, fec bool) (*opusEncoder, error) {
	g, err := opus.NewEncoder(rate, 1, opus.AppVoIP)
	if err != nil {
		return nil, err
	}
	if err := g.SetComplexity(opusComplexity); err != nil {
		return nil, err
	}
	e := &opusEncoder{encoder: g, rate: rate, fec: fec}
	return e, e.adapt(0)
}

func (e *opusEncoder) Encode(payload []byte, pcm []int16) (int, error) {
	return e.encoder.Encode(pcm, payload)
}

func (e *opusEncoder) SetLoss(percent int) {
	// The values are within their bounds, so that nothing is refused.
	_ = e.adapt(min(max(percent, 0), 100))
}

// adapt turns in-band FEC on where the loss makes it pay.
func (e *opusEncoder) adapt(loss int) error {
	tuning := opusTuningOf(e.rate)
	bitrate, fec := tuning.bitrate, e.fec && loss >= opusLossy
	if fec {
		bitrate = tuning.lossy
	}
	if err := e.encoder.SetBitrate(bitrate); err != nil {
		return err
	}
	if err := e.encoder.SetInBandFEC(fec); err != nil {
		return err
	}
	return e.encoder.SetPacketLossPerc(loss)
}
