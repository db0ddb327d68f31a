//go:build !libopus || !cgo

package codec

import (
	"math"

	"github.com/thesyncim/gopus"
)

// opusDecoder is Opus (RFC 6716) by gopus. It decodes at the rate that is wanted, and stereo to mono.
type opusDecoder struct {
	decoder *gopus.Decoder
	rate    int       // static after construction
	wide    []float32 // 120 ms
}

func newOpusDecoder(rate int) (*opusDecoder, error) {
	most := samples(longest, rate)
	d, err := gopus.NewDecoder(gopus.DecoderConfig{SampleRate: rate, Channels: 1, MaxPacketSamples: most, MaxPacketBytes: longestPayload})
	if err != nil {
		return nil, err
	}
	return &opusDecoder{decoder: d, rate: rate, wide: make([]float32, most)}, nil
}

func (d *opusDecoder) Duration(payload []byte) int { return opusDuration(payload) }

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (int, error) {
	return d.decoder.DecodeInt16(payload, pcm[:samples(longest, d.rate)])
}

func (d *opusDecoder) Conceal(pcm []int16, next []byte) bool {
	recovered := len(next) > 0 && gopus.PacketHasLBRR(next) && d.recover(pcm, next)
	if recovered {
		return true
	}
	if n, err := d.decoder.Decode(nil, d.wide[:len(pcm)]); err != nil || n != len(pcm) {
		clear(pcm)
		return false
	}
	narrow(pcm, d.wide)
	return false
}

func (d *opusDecoder) recover(pcm []int16, next []byte) bool {
	n, err := d.decoder.DecodeWithFEC(next, d.wide[:len(pcm)], true)
	if err != nil || n != len(pcm) {
		return false
	}
	narrow(pcm, d.wide)
	return true
}

// narrow turns samples of ±1 into those of 16 bits.
func narrow(pcm []int16, wide []float32) {
	for i := range pcm {
		pcm[i] = int16(math.Round(float64(min(max(wide[i]*32768, -32768), 32767))))
	}
}

func (d *opusDecoder) Reset() { d.decoder.Reset() }

// opusEncoder is Opus by gopus: voice at complexity 0 and a variable bit rate. It speaks CELT, which keeps the spectrum of
// tones within 0.7 dB and in wideband costs half of SILK, until the far side loses packets: only SILK has in-band FEC.
type opusEncoder struct {
	encoder *gopus.Encoder
	rate    int  // static after construction
	fec     bool // static after construction
}

// newOpusEncoder makes an encoder for packets of so many samples. Its state is not lent from call to call: Encoder.Reset
// of gopus v0.1.1 leaves some of the old one.
func newOpusEncoder(rate, packet int, fec bool) (*opusEncoder, error) {
	g, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: rate, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		return nil, err
	}
	e := &opusEncoder{encoder: g, rate: rate, fec: fec}
	if err := g.SetFrameSize(packet); err != nil {
		return nil, err
	}
	if err := g.SetSignal(gopus.SignalVoice); err != nil {
		return nil, err
	}
	if err := g.SetComplexity(0); err != nil {
		return nil, err
	}
	return e, e.adapt(0)
}

func (e *opusEncoder) Encode(payload []byte, pcm []int16) (int, error) {
	return e.encoder.EncodeInt16(pcm, payload)
}

func (e *opusEncoder) SetLoss(percent int) {
	// The values are within their bounds, so that nothing is refused.
	_ = e.adapt(min(max(percent, 0), 100))
}

// adapt turns in-band FEC on where the loss makes it pay.
func (e *opusEncoder) adapt(loss int) error {
	tuning := opusTuningOf(e.rate)
	bitrate, fec, mode := tuning.bitrate, gopus.InBandFECDisabled, gopus.EncoderModeCELT
	if e.fec && loss >= opusLossy {
		bitrate, fec, mode = tuning.lossy, gopus.InBandFECEnabled, gopus.EncoderModeAuto
	}
	if err := e.encoder.SetBitrate(bitrate); err != nil {
		return err
	}
	if err := e.encoder.SetInBandFEC(fec); err != nil {
		return err
	}
	if err := e.encoder.SetPacketLoss(loss); err != nil {
		return err
	}
	return e.encoder.SetMode(mode)
}
