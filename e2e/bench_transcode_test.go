package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"tandem/bridge/media/codec"
	"tandem/e2e/lab"
	"tandem/e2e/load"
)

// speechFile is recorded speech of Debian's asterisk-core-sounds-en-wav: 8000 samples a second, 16 bits.
const (
	speechFile   = "/usr/share/asterisk/sounds/en_US_f_Allison/demo-instruct.wav"
	speechHeader = 44
	speechFrames = 500 // ten seconds of it
)

// BenchmarkTranscode has Tandem and rtpengine convert the audio of the same calls, in turns in one run.
func BenchmarkTranscode(b *testing.B) {
	m := newMediaBench(b, "30", recordedVoices(b))
	fmt.Printf("\nconversion: recorded speech, 20 ms packets in both directions, all of it through the whole gateway\n")
	fmt.Printf("%-12s %-12s %6s %18s %11s %14s\n", "relay", "codecs", "calls", "µs CPU/20 ms call", "calls/core", "packets/call/s")
	for _, far := range []struct {
		name  string
		codec load.Codec
	}{{"pcmu", load.PCMU}, {"g722", load.G722}} {
		b.Run(far.name, func(b *testing.B) {
			m.b = b
			m.conversions(far.name, load.Ends{Browser: load.Opus, Phone: far.codec})
		})
	}
	for _, line := range m.figures {
		fmt.Println(line)
	}
}

// conversions measures what one call costs whose ends share no codec.
func (m *mediaBench) conversions(name string, ends load.Ends) {
	alike := func(int) load.Ends { return ends }
	relays := []*relay{
		m.tandemRelay("tandem", startGateway(m.b, mediaHost, adaptive, m.shared), mediaURL, load.GCM, alike),
		m.rtpengineRelay(lab.StartReference(m.b), load.GCM, alike),
	}
	calls := m.calls[0]
	cost := map[string][]float64{}
	for run := range m.runs {
		for i := range relays {
			r := relays[(i+run)%len(relays)]
			m.must(r.grow(m.ctx, calls))
			s, err := r.measure(m.ctx, m.g, load.Load{Sessions: r.sessions, Warm: time.Second, Duration: 2 * m.seconds})
			m.must(err)
			each := s.cost * s.rate / float64(calls) / 50
			cost[r.name] = append(cost[r.name], each)
			packets := s.rate / float64(calls)
			fmt.Printf("%-12s %-12s %6d %18.1f %11.0f %14.1f\n", r.name, "opus-"+name, calls, each, 20000/each, packets)
			if r == relays[0] && (packets < 95 || packets > 105) {
				m.b.Errorf("%s: %.1f packets a second arrived of a call, want 100", r.name, packets)
			}
		}
	}
	m.figure("converted-calls-per-core-"+name, 20000/median(cost["tandem"]), "200")
	m.figure("cpu-per-converted-call-"+name+"-vs-rtpengine", median(cost["tandem"])/median(cost["rtpengine"]), "1.00")
}

// recordedVoices are the same speech in each codec.
func recordedVoices(b *testing.B) load.Voices {
	file, err := os.ReadFile(speechFile)
	if err != nil {
		b.Fatalf("%v: it is in the package asterisk-core-sounds-en-wav", err)
	}
	const frame = 160
	if len(file) < speechHeader+2*frame*speechFrames {
		b.Fatalf("%s is too short", speechFile)
	}
	g711, err := codec.NewEncoder(codec.Spec{Name: codec.PCMU}, 8000)
	if err != nil {
		b.Fatal(err)
	}
	var pcmu [][]byte
	for i := range speechFrames {
		pcm := make([]int16, frame)
		for j := range pcm {
			pcm[j] = int16(binary.LittleEndian.Uint16(file[speechHeader+2*(i*frame+j):]))
		}
		payload := make([]byte, 1500)
		n, err := g711.Encode(payload, pcm)
		if err != nil {
			b.Fatal(err)
		}
		pcmu = append(pcmu, payload[:n])
	}
	return load.Voices{load.PCMU: pcmu, load.Opus: convertedVoice(b, pcmu, codec.Opus), load.G722: convertedVoice(b, pcmu, codec.G722)}
}

func convertedVoice(b *testing.B, pcmu [][]byte, to codec.Name) (payloads [][]byte) {
	t, err := codec.New(codec.Spec{Name: codec.PCMU}, codec.Spec{Name: to})
	if err != nil {
		b.Fatal(err)
	}
	for i, payload := range pcmu {
		now := time.Duration(i) * 20 * time.Millisecond
		t.Push(codec.Arrival{Sequence: uint16(i), Timestamp: uint32(160 * i), Payload: payload}, now)
		for d, ok := t.Pull(now); ok; d, ok = t.Pull(now) {
			payloads = append(payloads, append([]byte(nil), d.Payload...))
		}
	}
	return payloads
}
