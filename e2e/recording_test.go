package e2e

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/lab"
)

// A call that its route has recorded: the browser's tone is on the left, the PBX's on the right.
func TestRecording(t *testing.T) {
	folder := t.TempDir()
	s := newRecordingSite(t, folder)
	s.ladderOnFailure(t)
	s.asterisk = lab.StartAsterisk(t, "127.0.0.10")
	p := lab.StartChromium(t).Open(t).Phone(t, lab.JsSIP, s.account("alice", aliceTone))
	if status := p.Register(); status != 200 {
		t.Fatalf("REGISTER: %d", status)
	}
	c := p.Call("sip:601@example.com")
	c.Wait("answered", 10*time.Second)
	c.Hears(1004)
	c.Hold()
	c.Resume()
	c.Hears(1004)
	lab.Eventually(t, 15*time.Second, "three seconds more are written", func() error {
		files, _ := filepath.Glob(filepath.Join(folder, "*", "*.wav"))
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.Size() > 4*64000 {
				return nil
			}
		}
		return fmt.Errorf("files %v", files)
	})
	c.Hangup()
	c.Wait("ended", 5*time.Second)
	var file string
	s.lastRecord(t, func(r record) error {
		if r.Recording == nil || r.Recording.End != "complete" || !r.Recording.Consent || len(r.Recording.Files) != 2 {
			return fmt.Errorf("recording %+v", r.Recording)
		}
		file = r.Recording.Files[0]
		return nil
	})
	if !strings.HasPrefix(file, folder) {
		t.Errorf("file %s", file)
	}
	for side, frequency := range []float64{aliceTone, 1004} {
		if share := wavShare(t, file, side, frequency); share < 0.6 {
			t.Errorf("channel %d has %.2f of its sound at %v Hz", side, share, frequency)
		}
	}
}

func newRecordingSite(t *testing.T, folder string) *site {
	t.Helper()
	return newSiteWith(t, strings.Replace(onePBX, "register: forward}", "register: forward, record: both, consent: true}", 1), "recordings: "+folder, 0)
}

// wavShare is how much of a channel's last second but one lies at a frequency.
func wavShare(t *testing.T, file string, side int, frequency float64) float64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const rate, header, frame = 16000, 44, 4
	data = data[header:]
	if len(data) < 2*rate*frame {
		t.Fatalf("%d bytes of sound", len(data))
	}
	data = data[len(data)-2*rate*frame : len(data)-rate*frame]
	var at, total float64
	for piece := range slices.Chunk(data, rate/20*frame) { // the phase jumps where a busy machine's packets came late
		var re, im float64
		for i := 0; i+frame <= len(piece); i += frame {
			x := float64(int16(binary.LittleEndian.Uint16(piece[i+2*side:])))
			w := 2 * math.Pi * frequency * float64(i/frame) / rate
			re, im, total = re+x*math.Cos(w), im+x*math.Sin(w), total+x*x
		}
		at += 2 * (re*re + im*im) / float64(len(piece)/frame)
	}
	return at / max(total, 1)
}
