package bridge

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tandem/bridge/recording"
	"tandem/bridge/route"
	"tandem/wss/wsstest"
)

// taped are the conditions of a call to the pool that is recorded.
func taped(t *testing.T, format string) conditions {
	t.Helper()
	return conditions{record: route.Recording{Format: format, Consent: true}, bridge: Config{Recordings: t.TempDir()}}
}

// checkSound looks for a tone on each side of a WAV file that is whole: the caller's on the left.
func checkSound(t *testing.T, file string, tones [2]float64) {
	t.Helper()
	const header, rate = 44, 16000
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) <= header || int(binary.LittleEndian.Uint32(data[40:])) != len(data)-header {
		t.Fatalf("%s: %d bytes, header % x", file, len(data), data[:min(len(data), header)])
	}
	for side, hz := range tones {
		var sound []float64
		for i := header + 2*side; i+1 < len(data); i += 4 {
			sound = append(sound, float64(int16(binary.LittleEndian.Uint16(data[i:]))))
		}
		if share := share(sound, 2*math.Pi*hz/rate); share < 0.5 {
			t.Errorf("%s, side %d: %.2f of the sound at %v Hz", file, side, share, hz)
		}
	}
}

// share is how much of a sound's energy lies at a frequency, in radians per sample; measured in pieces of 20 ms, since the phase may jump
// where packets came late.
func share(sound []float64, turn float64) float64 {
	var at, total float64
	for piece := range slices.Chunk(sound, 320) {
		var re, im float64
		for i, x := range piece {
			re, im, total = re+x*math.Cos(turn*float64(i)), im+x*math.Sin(turn*float64(i)), total+x*x
		}
		at += 2 * (re*re + im*im) / float64(len(piece))
	}
	return at / max(total, 1)
}

// written waits until a recording has taken so many bytes.
func (w *world) written(size int64) {
	w.t.Helper()
	w.until("sound in the file", func() bool {
		running := w.bridge.Calls(1)
		return len(running) == 1 && running[0].Recording != nil && running[0].Recording.Bytes >= size
	})
}

// A route's calls are recorded from the answer on, and the record says where and how it ended.
func TestRouteRecords(t *testing.T) {
	t.Parallel()
	with := taped(t, "both")
	k := newTalk(t, with, wsstest.Options{})
	k.written(100000)
	k.hangUp()
	r := k.record().Recording
	if r == nil || !r.Consent || r.Format != "both" || len(r.Files) != 2 || r.Bytes < 100000 {
		t.Fatalf("%+v", r)
	}
	if r.End != recording.Complete && (r.End != recording.Overrun || r.Lost == 0) { // who is too slow for a call's sound says so
		t.Fatalf("%+v", r)
	}
	if !strings.HasPrefix(r.Files[0], with.bridge.Recordings) || !strings.Contains(r.Files[0], k.record().Call) {
		t.Errorf("files %v", r.Files)
	}
	checkSound(t, r.Files[0], [2]float64{440, 1000})
	if n := k.bridge.Stats().Recordings[r.End]; n != 1 {
		t.Errorf("%d recordings were counted", n)
	}
	if text, err := json.Marshal(k.record()); err != nil || !strings.Contains(string(text), `"recording":{"format":"both","files":["`) {
		t.Errorf("%v: %s", err, text)
	}
}

// A call that nobody answers has no recording.
func TestNothingIsRecordedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	with := taped(t, "wav")
	w := newWorld(t, with)
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	_, err = w.agents[0].Expect(w.ctx(), "INVITE")
	w.check(err)
	w.check(call.Cancel(w.ctx()))
	if r := w.record(); r.Recording != nil {
		t.Errorf("%+v", r.Recording)
	}
	if files, _ := os.ReadDir(with.bridge.Recordings); len(files) > 0 {
		t.Errorf("files %v", files)
	}
}

// fullDisk has room for so many bytes.
type fullDisk struct{ room atomic.Int64 }

type fullFile struct {
	*os.File
	disk *fullDisk
}

func (d *fullDisk) Create(name string) (recording.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	out, err := os.Create(name)
	return fullFile{out, d}, err
}

func (d *fullDisk) Remove(name string) error { return os.Remove(name) }

func (f fullFile) Write(b []byte) (int, error) {
	if f.disk.room.Add(-int64(len(b))) < 0 {
		return 0, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.File.Write(b)
}

// A full disk ends the recording, at its beginning or later, and not the call.
func TestFullDiskLeavesTheCall(t *testing.T) {
	t.Parallel()
	for name, room := range map[string]int64{"in the call": 20000, "at the answer": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &fullDisk{}
			disk.room.Store(room)
			with := taped(t, "wav")
			with.disk = disk
			k := newTalk(t, with, wsstest.Options{})
			k.until("the disk to be full", func() bool { return disk.room.Load() < 0 })
			k.call.Media().SetTone(700)
			k.rtp.Tone(1400)
			k.check(k.call.Media().WaitTone(k.ctx(), 1400))
			k.check(k.rtp.WaitTone(k.ctx(), 700))
			k.hangUp()
			r := k.record()
			if r.Reason != "hangup" || r.Recording == nil || r.Recording.End != recording.DiskFull {
				t.Errorf("%+v, %+v", r, r.Recording)
			}
			if n := k.bridge.Stats().Recordings[recording.DiskFull]; n != 1 {
				t.Errorf("%d recordings were counted", n)
			}
		})
	}
}

// The shutdown ends the recordings of the calls that it ends.
func TestShutdownFinishesRecordings(t *testing.T) {
	t.Parallel()
	k := newTalk(t, taped(t, "wav"), wsstest.Options{})
	k.written(64000)
	ended, stop := context.WithCancel(context.Background())
	stop()
	k.meanwhile(func() { k.bridge.Shutdown(ended) })
	r := k.record()
	if r.Reason != "shutdown" || r.Recording == nil || r.Recording.End != recording.Complete {
		t.Fatalf("%+v, %+v", r, r.Recording)
	}
	checkSound(t, r.Recording.Files[0], [2]float64{440, 1000})
}

// A restored call is recorded on, into another file; its record has both.
func TestRestoredCallIsRecordedOn(t *testing.T) {
	t.Parallel()
	k := newTalk(t, taped(t, "wav"), wsstest.Options{})
	k.written(100000)
	read := k.takenDown()
	if n := k.bridge.Stats().Recordings[recording.Complete]; n != 1 {
		t.Errorf("%d recordings ended with the call that was dropped", n)
	}
	k.check(k.bridge.Restore(read))
	k.call.Media().SetTone(700)
	k.rtp.Tone(1400)
	k.check(k.call.Media().WaitTone(k.ctx(), 1400))
	k.check(k.rtp.WaitTone(k.ctx(), 700))
	k.written(200000)
	k.hangUp()
	r := k.record().Recording
	if r == nil || r.End != recording.Complete || !r.Consent || len(r.Files) != 2 || r.Files[0] == r.Files[1] || r.Bytes < 200000 {
		t.Fatalf("%+v", r)
	}
	checkSound(t, r.Files[0], [2]float64{440, 1000})
	checkSound(t, r.Files[1], [2]float64{700, 1400})
}
