package recording

import (
	"encoding/binary"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"

	"tandem/bridge/sdp"
)

const step = 20 * time.Millisecond

// spoken is the n-th 20 ms of a tone in PCMU.
func spoken(t *testing.T, n int, frequency float64) []byte {
	t.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n), SSRC: 7}}
	for i := range 160 {
		x := 8000 * math.Sin(2*math.Pi*frequency*float64(160*n+i)/8000)
		p.Payload = append(p.Payload, g711.EncodeUlawFrame(int16(x)))
	}
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func start(t *testing.T, format string) *Recording {
	t.Helper()
	r, err := Start(Options{Folder: t.TempDir(), Tenant: "../exa mple", Call: "a/b", Format: format, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ulaw() *sdp.Codec { return &sdp.Codec{Name: "PCMU", Clock: 8000} }

// channel is one side's samples of a WAV file.
func channel(t *testing.T, file string, side int) []float64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(data[:4]) != "RIFF" || int(binary.LittleEndian.Uint32(data[4:])) != len(data)-8 ||
		int(binary.LittleEndian.Uint32(data[40:])) != len(data)-wavHeader || binary.LittleEndian.Uint32(data[24:]) != rate {
		t.Fatalf("header % x of %d bytes", data[:wavHeader], len(data))
	}
	var out []float64
	for i := wavHeader + 2*side; i+1 < len(data); i += 4 {
		out = append(out, float64(int16(binary.LittleEndian.Uint16(data[i:]))))
	}
	return out
}

// share is how much of the sound lies at a frequency.
func share(samples []float64, frequency float64) float64 {
	var re, im, total float64
	for i, x := range samples {
		w := 2 * math.Pi * frequency * float64(i) / rate
		re, im, total = re+x*math.Cos(w), im+x*math.Sin(w), total+x*x
	}
	return 2 * (re*re + im*im) / float64(len(samples)) / max(total, 1)
}

func TestStereo(t *testing.T) {
	r := start(t, "both")
	for n := range 100 {
		if n < 30 || n >= 50 { // the caller is silent for 400 ms
			r.queue.put(0, ulaw(), spoken(t, n, 500), time.Duration(n)*step)
		}
		r.queue.put(1, ulaw(), spoken(t, n, 1200), time.Duration(n)*step)
	}
	result := r.Finish(time.Minute)
	if result.End != Complete || len(result.Files) != 2 {
		t.Fatalf("%+v", result)
	}
	left, right := channel(t, result.Files[0], 0), channel(t, result.Files[0], 1)
	if len(left) < 2*rate || len(right) < 2*rate {
		t.Fatalf("%d and %d samples", len(left), len(right))
	}
	if s := share(left[:rate/2], 500); s < 0.9 {
		t.Errorf("left: %.2f", s)
	}
	if s := share(right, 1200); s < 0.9 {
		t.Errorf("right: %.2f", s)
	}
	for i, x := range left[rate*61/100 : rate*99/100] {
		if x != 0 {
			t.Fatalf("sound in the gap at %d", i)
		}
	}
	checkCapture(t, result.Files[1], 180)
}

// checkCapture reads a pcap file's packets.
func checkCapture(t *testing.T, file string, want int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil || binary.LittleEndian.Uint32(data) != pcapMagic {
		t.Fatalf("%v, % x", err, data[:min(len(data), 4)])
	}
	count := 0
	for rest := data[24:]; len(rest) > 0; count++ {
		size := int(binary.LittleEndian.Uint32(rest[8:]))
		var p rtp.Packet
		if err := p.Unmarshal(rest[16+ipHeader+udpHeader : 16+size]); err != nil || len(p.Payload) != 160 {
			t.Fatalf("packet %d: %v", count, err)
		}
		rest = rest[16+size:]
	}
	if count != want {
		t.Errorf("%d packets, want %d", count, want)
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	r := start(t, "wav")
	result := r.Finish(time.Minute)
	if name := result.Files[0]; strings.Contains(name, "..") || filepath.Base(filepath.Dir(name)) != "_exa_mple" || !strings.HasSuffix(name, "-a_b.wav") {
		t.Errorf("file %s", name)
	}
}
