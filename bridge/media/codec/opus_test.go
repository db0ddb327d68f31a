package codec

import (
	"testing"

	"github.com/thesyncim/gopus"
)

// The duration that the first bytes say is the one that the library reads, for each configuration and frame count.
func TestOpusDuration(t *testing.T) {
	for config := range 32 {
		for _, c := range []struct {
			payload []byte
			frames  int
		}{
			{[]byte{byte(config) << 3, 1}, 1}, {[]byte{byte(config)<<3 | 1, 1, 1}, 2}, {[]byte{byte(config)<<3 | 2, 1, 1, 1}, 2},
			{[]byte{byte(config)<<3 | 3, 2, 1, 1}, 2}, {[]byte{byte(config)<<3 | 3, 48}, 48}, {[]byte{byte(config)<<3 | 3}, 0},
		} {
			want := gopus.ParseTOC(c.payload[0]).FrameSize * c.frames
			if want > 5760 {
				want = 0
			}
			if got := opusDuration(c.payload); got != want {
				t.Errorf("configuration %d, %d frames: %d ticks, want %d", config, c.frames, got, want)
			}
		}
	}
	if opusDuration(nil) != 0 {
		t.Error("nothing has a duration")
	}
}

// When the far side begins to lose packets, or ceases to, the encoder changes its mode without a click.
func TestLossReportsMakeNoClick(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		pcm := speech(rate, 6*rate)
		var heard [2][]int16
		for i := range heard {
			e, err := NewEncoder(Spec{Name: Opus, FEC: true}, rate)
			if err != nil {
				t.Fatal(err)
			}
			var payloads [][]byte
			for n := 0; n < 300; n++ {
				if i == 1 && n%30 == 0 {
					e.SetLoss(n / 30 % 2 * 10)
				}
				payloads = append(payloads, encodeAll(e, pcm[n*rate/50:(n+1)*rate/50], rate/50)...)
			}
			heard[i] = sink(t, Opus, payloads, rate)
		}
		if got, was := sharpest(heard[1]), sharpest(heard[0]); got > was*5/4 {
			t.Errorf("%d Hz: bends by %d, with one mode by %d", rate, got, was)
		}
		if level := decibel(rms(heard[1]) / rms(heard[0])); level < -1 || level > 1 {
			t.Errorf("%d Hz: %+.1f dB", rate, level)
		}
	}
}

// A browser that sends nothing while nobody speaks (DTX) is no lossy one: sound goes on leaving, and what is said after a
// pause is whole.
func TestDTX(t *testing.T) {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: 16000, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetBitrate(20000); err != nil {
		t.Fatal(err)
	}
	e.SetDTX(true)
	pcm := speech(16000, 6*16000)
	clear(pcm[16000 : 3*16000])
	clear(pcm[4*16000 : 5*16000])
	s := newStream(t, Opus, PCMU)
	var payload [longestPayload]byte
	var sequence uint16
	if err := e.SetFrameSize(320); err != nil {
		t.Fatal(err)
	}
	held := 0
	for i := range 300 {
		n, err := e.EncodeInt16(pcm[i*320:(i+1)*320], payload[:])
		if err != nil {
			t.Fatal(err)
		}
		if n > 2 {
			s.tr.Push(Arrival{Sequence: sequence, Timestamp: uint32(i * 960), Payload: payload[:n]}, s.now)
			sequence++
		} else {
			held++
		}
		s.now += frame
		s.pull()
	}
	stats := s.tr.Stats()
	if held < 80 {
		t.Fatalf("only %d packets were held back", held)
	}
	if stats.Lost != 0 || stats.Restarts != 0 || stats.Late != 0 || len(s.out) < 290 {
		t.Errorf("%d left, %+v", len(s.out), stats)
	}
	var payloads [][]byte
	for _, d := range s.out {
		payloads = append(payloads, d.Payload)
	}
	heard := sink(t, PCMU, payloads, 8000)
	again := heard[3*8000+800 : 4*8000]
	if level := decibel(rms(again) / rms(pcm[3*16000:4*16000-1600])); level < -2 || level > 2 {
		t.Errorf("after the pause %+.1f dB", level)
	}
}

// A stereo stream is heard as its middle.
func TestStereoIsMixed(t *testing.T) {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: 48000, Channels: 2, Application: gopus.ApplicationAudio})
	if err != nil {
		t.Fatal(err)
	}
	left := tone(700, 8000, 48000, 48000)
	var payloads [][]byte
	var payload [longestPayload]byte
	both := make([]int16, 2*960)
	for ; len(left) >= 960; left = left[960:] {
		for i, x := range left[:960] {
			both[2*i] = x
		}
		n, err := e.EncodeInt16(both, payload[:])
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, append([]byte(nil), payload[:n]...))
	}
	heard := sink(t, PCMU, network(transcoder(t, Spec{Name: Opus}, Spec{Name: PCMU}), payloads, frame, inTime), 8000)
	if level := decibel(power(heard[2000:6000], 700, 8000) / 4000); level < -1.5 || level > 1.5 {
		t.Errorf("%+.1f dB", level)
	}
}

// Silence, and G.711's idle code, are sent in few bytes, and a voice after it is heard from its beginning.
func TestSilence(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		pcm := make([]int16, 4*rate)
		for i := range pcm[:2*rate] {
			pcm[i] = 8
		}
		copy(pcm[2*rate:], speech(rate, 2*rate))
		said := append([]int16(nil), pcm...)
		payloads := source(t, Opus, pcm, rate, frame)
		if n := len(payloads[90]); n > 20 {
			t.Errorf("%d Hz: silence is %d bytes", rate, n)
		}
		heard := sink(t, Opus, payloads, rate)
		if loud := rms(heard[rate : 2*rate-rate/10]); loud > 10 {
			t.Errorf("%d Hz: silence of %.1f", rate, loud)
		}
		for at := 2 * rate; at < 2*rate+rate*3/10; at += rate / 10 {
			was, is := rms(said[at:at+rate/10]), rms(heard[at:at+rate/10])
			if level := decibel((is + 30) / (was + 30)); level < -2.5 || level > 2.5 {
				t.Errorf("%d Hz: %+.1f dB %d ms after the silence", rate, level, (at-2*rate)*1000/rate)
			}
		}
	}
}
