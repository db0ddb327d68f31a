package codec

import (
	"testing"

	"github.com/thesyncim/gopus"
)

// browserPackets codes as Chrome does: voice, 20 ms, in-band FEC, complexity 9, and the bit rate that it chooses for the
// rate at which it will be played.
func browserPackets(t testing.TB, pcm []int16, rate int) [][]byte {
	t.Helper()
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: rate, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		t.Fatal(err)
	}
	bitrate := map[int]int{8000: 12000, 16000: 20000, 48000: 32000}[rate]
	for _, err := range []error{e.SetFrameSize(rate / 50), e.SetBitrate(bitrate), e.SetInBandFEC(gopus.InBandFECEnabled), e.SetComplexity(9)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var all [][]byte
	var payload [longestPayload]byte
	for ; len(pcm) >= rate/50; pcm = pcm[rate/50:] {
		n, err := e.EncodeInt16(pcm[:rate/50], payload[:])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, append([]byte(nil), payload[:n]...))
	}
	return all
}
