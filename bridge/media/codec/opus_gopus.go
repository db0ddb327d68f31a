//go:build !libopus || !cgo

package codec

import (
	"fmt"
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

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (n int, err error) {
	defer d.contain(&err)
	return d.decoder.DecodeInt16(payload, pcm[:samples(longest, d.rate)])
}

// contain turns a panic of the library into an error, and gives the stream a new state: payloads come from the network.
func (d *opusDecoder) contain(err *error) {
	fault := recover()
	if fault == nil {
		return
	}
	*err = fmt.Errorf("gopus: %v", fault)
	if fresh, failed := newOpusDecoder(d.rate); failed == nil {
		*d = *fresh
	}
}

func (d *opusDecoder) Conceal(pcm []int16, next []byte) bool {
	var err error
	recovered := d.invent(pcm, next, &err)
	if err != nil {
		clear(pcm)
	}
	return recovered && err == nil
}

// invent fills pcm from the redundancy in next, which is true, or else by the library's own concealment.
func (d *opusDecoder) invent(pcm []int16, next []byte, fault *error) bool {
	defer d.contain(fault)
	if len(next) > 0 && gopus.PacketHasLBRR(next) && d.recover(pcm, next) {
		return true
	}
	n, err := d.decoder.Decode(nil, d.wide[:len(pcm)])
	if err != nil || n != len(pcm) {
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

func (d *opusDecoder) Reset() {
	var err error
	defer d.contain(&err)
	d.decoder.Reset()
}

// opusEncoder is Opus by gopus: voice at complexity 0 and a variable bit rate. It speaks CELT, which keeps the spectrum of
// tones within 0.7 dB and in wideband costs half of SILK, until the far side loses packets: only SILK has in-band FEC.
type opusEncoder struct {
	encoder *gopus.Encoder
	rate    int  // static after construction
	fec     bool // static after construction
	lossy   bool // speaks SILK with in-band FEC now
	quiet   int  // how many packets of silence there were last
	silence []byte
}

const (
	// quietPeak is G.711's idle code, -72 dBFS, beyond which nobody hears anything, and quietPackets how many of them are
	// coded before they count as silence.
	quietPeak    = 8
	quietPackets = 10
	// silencePayload is the greatest size of a CELT packet that has nothing but its silence flag (RFC 6716 §4.3).
	silencePayload = 3
)

// newOpusEncoder makes an encoder for packets of so many samples. Its state is not lent from call to call: Encoder.Reset
// of gopus v0.1.1 leaves some of the old one.
func newOpusEncoder(rate, packet int, fec bool) (*opusEncoder, error) {
	g, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: rate, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		return nil, err
	}
	e := &opusEncoder{encoder: g, rate: rate, fec: fec, silence: make([]byte, 0, silencePayload)}
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

// Encode repeats the packet of silence while silence lasts: both ends have then come to rest, so that coding it anew would
// change nothing.
func (e *opusEncoder) Encode(payload []byte, pcm []int16) (int, error) {
	if e.lossy || !hushed(pcm) {
		e.quiet, e.silence = 0, e.silence[:0]
		return e.encoder.EncodeInt16(pcm, payload)
	}
	if len(e.silence) > 0 {
		return copy(payload, e.silence), nil
	}
	if e.quiet++; e.quiet > quietPackets {
		clear(pcm)
	}
	n, err := e.encoder.EncodeInt16(pcm, payload)
	if e.quiet > 2*quietPackets && err == nil && n <= silencePayload {
		e.silence = append(e.silence, payload[:n]...)
	}
	return n, err
}

func hushed(pcm []int16) bool {
	for _, x := range pcm {
		if x > quietPeak || x < -quietPeak {
			return false
		}
	}
	return true
}

func (e *opusEncoder) SetLoss(percent int) {
	// The values are within their bounds, so that nothing is refused.
	_ = e.adapt(min(max(percent, 0), 100))
}

// adapt turns in-band FEC on where the loss makes it pay.
func (e *opusEncoder) adapt(loss int) error {
	tuning := opusTuningOf(e.rate)
	bitrate, fec, mode := tuning.bitrate, gopus.InBandFECDisabled, gopus.EncoderModeCELT
	if e.lossy = e.fec && loss >= opusLossy; e.lossy {
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
