//go:build !libopus || !cgo

package codec

import "testing"

// A fault inside the library costs the call a piece of sound, not the process.
func TestFaultOfTheLibraryIsContained(t *testing.T) {
	d, err := newOpusDecoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 960)
	payload := browserPackets(t, speech(8000, 800), 8000)[3]
	d.decoder = nil
	if _, err := d.Decode(pcm, payload); err == nil {
		t.Error("no error")
	}
	if n, err := d.Decode(pcm, payload); n != 160 || err != nil {
		t.Errorf("afterwards %d samples, %v", n, err)
	}
	d.decoder, pcm[0] = nil, 99
	if d.Conceal(pcm[:160], payload) || pcm[0] != 0 {
		t.Errorf("concealed with %d", pcm[0])
	}
}
