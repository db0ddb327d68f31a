package recording

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtp"

	"tandem/bridge/media/codec"
	"tandem/bridge/sdp"
)

// A sender's clock may stand still while it is silent: its sound goes on where it came, however long that was.
func TestStandingClock(t *testing.T) {
	for _, pause := range []int{0, 300, 700, 1000, 1300, 1500, 1900, 2500} {
		out, err := os.Create(filepath.Join(t.TempDir(), "a.wav"))
		if err != nil {
			t.Fatal(err)
		}
		q, s, n := &queue{}, newSound(out), 0
		if err := s.begin(); err != nil {
			t.Fatal(err)
		}
		for ms := 0; ms < 8000; ms += 20 {
			if ms < 2000 || ms >= 2000+pause {
				q.put(0, ulaw(), spoken(t, n, 500), time.Duration(ms)*time.Millisecond)
				n++
			}
			if ms%100 == 0 {
				for p := q.peek(); p != nil; p = q.peek() {
					s.add(p)
					q.advance()
				}
				if err := s.flush(time.Duration(ms) * time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.finish(8 * time.Second); err != nil {
			t.Fatal(err)
		}
		left := channel(t, out.Name(), 0)
		loud := 0
		for _, x := range left {
			if math.Abs(x) > 100 {
				loud++
			}
		}
		if sent := n * rate / 50; len(left) != 8*rate || loud < sent*97/100 {
			t.Errorf("pause of %d ms: %d of %d frames are loud, of %d that were sent", pause, loud, len(left), sent)
		}
	}
}

// One late packet is lost, and moves nothing; a packet that was overtaken is put in its place.
func TestLatePackets(t *testing.T) {
	var x track
	x.done = 10 * rate
	at := func(n int, stamp uint32, came int) {
		t.Helper()
		p := parcel{at: time.Duration(came) * time.Millisecond, codec: codec.PCMU}
		if got := x.locate(&p, stamp, 7); got != n {
			t.Errorf("%d comes at %d ms and lies at frame %d, want %d", stamp, came, got, n)
		}
	}
	at(11*rate, 80000, 11000)
	at(11*rate+640, 80320, 11040)
	at(11*rate+320, 80160, 11045)
	at(11*rate-rate*5/4, 70000, 11050)
	at(11*rate+960, 80480, 11060)
	at(10*rate+rate*11/10, 40000, 11100) // far behind: another beginning
}

// An empty call has a file that players open; so has one with a single packet, which lasts as long as the call.
func TestShortCalls(t *testing.T) {
	for packets := range 2 {
		r := start(t, "both")
		for n := range packets {
			r.queue.put(0, ulaw(), spoken(t, n, 500), 0)
		}
		result := r.Finish(time.Minute)
		if result.End != Complete || result.Bytes < wavHeader+pcapHeader {
			t.Errorf("%d packets: %+v", packets, result)
		}
		if left := channel(t, result.Files[0], 0); len(left) < packets*rate/50 {
			t.Errorf("%d packets: %d samples", packets, len(left))
		}
		checkCapture(t, result.Files[1], packets)
	}
}

// The sound of G.711 has no mirror of itself above 4 kHz.
func TestG711HasNoImages(t *testing.T) {
	r := start(t, "wav")
	for n := range 100 {
		r.queue.put(0, nil, spoken(t, n, 3000), time.Duration(n)*step) // by its static payload type
	}
	left := channel(t, r.Finish(time.Minute).Files[0], 0)[rate/2 : rate*3/2]
	if tone, image := share(left, 3000), share(left, 5000); tone < 0.99 || image > 1e-5 {
		t.Errorf("%.4f of the sound at 3000 Hz, %.6f at 5000 Hz", tone, image)
	}
}

// Opus on one side, G.722 on the other, as browsers and phones speak them.
func TestWideband(t *testing.T) {
	r := start(t, "wav")
	clocks := [2]int{48000, 8000}
	for side, name := range []codec.Name{codec.Opus, codec.G722} {
		encoder, err := codec.NewEncoder(codec.Spec{Name: name}, rate)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			payload, pcm := make([]byte, packetMost), make([]int16, rate/50)
			for i := range pcm {
				pcm[i] = int16(9000 * math.Sin(2*math.Pi*float64(1000+4000*side)*float64(n*len(pcm)+i)/rate))
			}
			size, err := encoder.Encode(payload, pcm)
			if err != nil {
				t.Fatal(err)
			}
			p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Timestamp: uint32(n * clocks[side] / 50), SSRC: 7}, Payload: payload[:size]}
			raw, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			r.queue.put(side, &sdp.Codec{Name: name.String(), Clock: clocks[side]}, raw, time.Duration(n)*step)
		}
	}
	result := r.Finish(time.Minute)
	for side, hz := range []float64{1000, 5000} {
		if s := share(channel(t, result.Files[0], side)[rate/2:rate*3/2], hz); s < 0.95 {
			t.Errorf("side %d: %.2f of the sound at %v Hz", side, s, hz)
		}
	}
}

// What is no sound, or of a codec that is none of ours, leaves silence.
func TestNoSound(t *testing.T) {
	q := &queue{}
	s := newSound(nil)
	for _, c := range []struct {
		codec  *sdp.Codec
		packet []byte
	}{
		{&sdp.Codec{Name: "AMR", Clock: 8000}, spoken(t, 1, 500)},
		{&sdp.Codec{Name: "PCMU", Clock: 16000}, spoken(t, 1, 500)},
		{ulaw(), spoken(t, 1, 500)[:11]},
		{nil, []byte{0x80}},
		{ulaw(), spoken(t, 1, 500)[:12]},
		{&sdp.Codec{Name: "opus", Clock: 48000}, append(spoken(t, 1, 500)[:12], 0xff, 0xff)},
		{ulaw(), append([]byte{0xbf}, spoken(t, 1, 500)[1:20]...)},
	} {
		q.put(0, c.codec, c.packet, 0)
		s.add(q.peek())
		q.advance()
	}
	if len(s.tracks[0].pcm) > 0 {
		t.Errorf("%d frames", len(s.tracks[0].pcm))
	}
	if r := newRecording(time.Now(), slog.New(slog.DiscardHandler)); r.queue.put(0, ulaw(), make([]byte, packetMost+1), 0) {
		t.Error("a packet that is too long was taken")
	}
}
