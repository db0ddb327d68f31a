package codec

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// browserSends is what a browser's encoder makes at a playback rate: at 48000 what Chrome sends when nothing is said (RFC
// 7587 §6.1), else what it sends when the answer has maxplaybackrate.
func browserSends(b *testing.B, rate int) [][]byte {
	return browserPackets(b, speech(rate, 10*rate), rate)
}

// BenchmarkCall is 20 ms of one call, both directions: calls per core is how many run in real time on one.
func BenchmarkCall(b *testing.B) {
	for _, far := range []Name{PCMU, PCMA, G722} {
		for _, playback := range []int{48000, far.Rate()} {
			for _, loss := range []int{0, 10} {
				b.Run(fmt.Sprintf("opus-%s/maxplaybackrate=%d/loss=%d", far, playback, loss), func(b *testing.B) {
					benchmarkCall(b, far, playback, loss)
				})
			}
		}
	}
}

func benchmarkCall(b *testing.B, far Name, playback, loss int) {
	down, err := New(Spec{Name: far}, Spec{Name: Opus, FEC: true})
	if err != nil {
		b.Fatal(err)
	}
	down.SetLoss(loss)
	up := transcoder(b, Spec{Name: Opus}, Spec{Name: far})
	browser := browserSends(b, playback)
	phone := source(b, far, speech(far.Rate(), 10*far.Rate()), far.Rate(), frame)
	i, bytes := 0, 0
	step := func(t *Transcoder, payloads [][]byte) {
		now := time.Duration(i) * frame
		t.Push(Arrival{Sequence: uint16(i), Timestamp: uint32(i * samples(frame, t.from.Name.Clock())),
			Payload: payloads[i%len(payloads)]}, now)
		for d, ok := t.Pull(now); ok; d, ok = t.Pull(now) {
			if t == down {
				bytes += len(d.Payload)
			}
		}
	}
	for ; i < 20; i++ {
		step(up, browser)
		step(down, phone)
	}
	b.ReportAllocs()
	b.ResetTimer()
	bytes = 0
	before := cpuTime(b)
	for range b.N {
		step(up, browser)
		step(down, phone)
		i++
	}
	used := float64(cpuTime(b)-before) / float64(b.N)
	b.ReportMetric(used/1000, "cpu-µs/20ms")
	b.ReportMetric(float64(frame)/used, "calls/core")
	b.ReportMetric(float64(bytes)*400/float64(b.N), "bit/s")
}

// BenchmarkDirection is 20 ms of one direction.
func BenchmarkDirection(b *testing.B) {
	for _, p := range pairs() {
		b.Run(fmt.Sprintf("%s-%s", p[0], p[1]), func(b *testing.B) {
			t := transcoder(b, Spec{Name: p[0]}, Spec{Name: p[1]})
			payloads := source(b, p[0], speech(p[0].Rate(), 10*p[0].Rate()), p[0].Rate(), frame)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				now := time.Duration(i) * frame
				t.Push(Arrival{Sequence: uint16(i), Timestamp: uint32(i * samples(frame, p[0].Clock())),
					Payload: payloads[i%len(payloads)]}, now)
				for _, ok := t.Pull(now); ok; _, ok = t.Pull(now) {
				}
			}
		})
	}
}

// BenchmarkNew is what a direction costs to make.
func BenchmarkNew(b *testing.B) {
	for _, p := range [][2]Name{{Opus, PCMU}, {PCMU, Opus}, {Opus, G722}, {G722, Opus}, {PCMU, G722}} {
		b.Run(fmt.Sprintf("%s-%s", p[0], p[1]), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				transcoder(b, Spec{Name: p[0]}, Spec{Name: p[1]})
			}
		})
	}
}

// BenchmarkOpusEncoder is 20 ms of one encoder: of a voice, of a voice with in-band FEC, of silence.
func BenchmarkOpusEncoder(b *testing.B) {
	for _, rate := range []int{8000, 16000} {
		for _, c := range []struct {
			name string
			loss int
			pcm  []int16
		}{{"voice", 0, speech(rate, 10*rate)}, {"fec", 10, speech(rate, 10*rate)}, {"silence", 0, make([]int16, 10*rate)}} {
			b.Run(fmt.Sprintf("%d/%s", rate, c.name), func(b *testing.B) {
				e, err := NewEncoder(Spec{Name: Opus, FEC: true}, rate)
				if err != nil {
					b.Fatal(err)
				}
				e.SetLoss(c.loss)
				var payload [longestPayload]byte
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					at := i % 500 * rate / 50
					if _, err := e.Encode(payload[:], c.pcm[at:at+rate/50]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkG722 is 20 ms of the codec alone.
func BenchmarkG722(b *testing.B) {
	pcm, e, d := speech(16000, 160000), newG722Encoder(), newG722Decoder()
	payloads := encodeAll(newG722Encoder(), pcm, 320)
	out := make([]int16, samples(longest, 16000))
	b.Run("encode", func(b *testing.B) {
		for i := range b.N {
			if _, err := e.Encode(make([]byte, 160), pcm[i%500*320:][:320]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for i := range b.N {
			if _, err := d.Decode(out, payloads[i%500]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
