package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// smallDisk is this machine's with so little room that what comes beyond it fails, as the fault says.
type smallDisk struct {
	localDisk
	room  atomic.Int64
	fault error
	hold  chan struct{} // writes of sound wait for it, where it is not nil
}

type smallFile struct {
	File
	disk *smallDisk
}

func (d *smallDisk) Create(name string) (File, error) {
	out, err := d.localDisk.Create(name)
	if err != nil {
		return nil, err
	}
	return smallFile{out, d}, nil
}

func (f smallFile) Write(b []byte) (int, error) {
	if f.disk.hold != nil && len(b) > wavHeader {
		<-f.disk.hold
	}
	left := f.disk.room.Add(-int64(len(b))) + int64(len(b))
	if left >= int64(len(b)) {
		return f.File.Write(b)
	}
	n, err := f.File.Write(b[:max(left, 0)])
	return n, errors.Join(err, &fs.PathError{Op: "write", Path: "file", Err: f.disk.fault})
}

func newSmallDisk(room int64, fault error) *smallDisk {
	d := &smallDisk{fault: fault}
	d.room.Store(room)
	return d
}

func options(t *testing.T, d Disk, format string) Options {
	t.Helper()
	return Options{Disk: d, Folder: t.TempDir(), Tenant: "a", Call: "b", Format: format, Log: slog.New(slog.DiscardHandler)}
}

func inTime(t *testing.T, what string, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatalf("%s: the recording has not ended", what)
	}
}

// A full disk ends the recording and nothing else; what was written can be played.
func TestFullDisk(t *testing.T) {
	for fault, end := range map[error]string{syscall.ENOSPC: DiskFull, syscall.EDQUOT: DiskFull, syscall.EIO: WriteError} {
		r, err := Start(options(t, newSmallDisk(9999, fault), "both"))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 60 {
			r.queue.put(0, ulaw(), spoken(t, n, 500), time.Duration(n)*step)
		}
		inTime(t, end, r.ended)
		for n := range 3 * queueLength { // packets go on coming
			r.queue.put(0, ulaw(), spoken(t, n, 500), time.Duration(n)*step)
		}
		result := r.Finish(time.Minute)
		if result.End != end || result.Bytes > 9999 || r.Finish(time.Minute).End != end {
			t.Errorf("%v: %+v", fault, result)
		}
		channel(t, result.Files[0], 0)
		checkCapture(t, result.Files[1], 45) // whole packets of 216 bytes
	}
}

// Where not even a header has room there is no recording, and no file.
func TestNoRoomAtTheStart(t *testing.T) {
	o := options(t, newSmallDisk(60, syscall.ENOSPC), "both")
	if _, err := Start(o); err == nil || EndOf(err) != DiskFull {
		t.Errorf("%v: %s", err, EndOf(err))
	}
	if files, _ := filepath.Glob(filepath.Join(o.Folder, "*", "*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	o.Format = "mp3"
	if _, err := Start(o); err == nil || EndOf(err) != WriteError {
		t.Errorf("%v", err)
	}
}

// bomb is a sink with a fault of ours.
type bomb struct{ sink }

func (bomb) add(*parcel) { panic("decoder") }

// A codec's panic ends the recording alone.
func TestPanic(t *testing.T) {
	r, err := Start(options(t, nil, "wav"))
	if err != nil {
		t.Fatal(err)
	}
	if result := r.Finish(time.Minute); result.End != Complete {
		t.Fatalf("%+v", result)
	}
	out, err := os.Create(r.files[0])
	if err != nil {
		t.Fatal(err)
	}
	again := newRecording(time.Now(), r.log)
	again.files, again.sinks = r.files, []sink{bomb{newSound(out)}}
	again.queue.put(0, ulaw(), spoken(t, 1, 500), 0)
	go again.run()
	inTime(t, "panic", again.ended)
	if result := again.Finish(time.Minute); result.End != Fault {
		t.Errorf("%+v", result)
	}
	if err := out.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the file was left open: %v", err)
	}
	if err := finish(nil, 0); EndOf(fmt.Errorf("close: %w", err)) != Fault {
		t.Errorf("a panic while a file is closed: %v", err)
	}
}

// A disk that takes nothing keeps nobody waiting, and nobody is told that all is written.
func TestUnfinished(t *testing.T) {
	disk := newSmallDisk(1<<20, nil)
	disk.hold = make(chan struct{})
	r, err := Start(options(t, disk, "wav"))
	if err != nil {
		t.Fatal(err)
	}
	r.queue.put(0, ulaw(), spoken(t, 1, 500), 0)
	if result := r.Finish(10 * time.Millisecond); result.End != Unfinished {
		t.Errorf("%+v", result)
	}
	close(disk.hold)
	inTime(t, "released", r.ended)
	if result := r.Finish(time.Minute); result.End != Unfinished {
		t.Errorf("%+v", result)
	}
	if left := channel(t, r.files[0], 0); len(left) < rate/50 {
		t.Errorf("%d samples", len(left))
	}
}

// busySink gets another packet while it takes one.
type busySink struct {
	sink
	r       *Recording
	flushed int
}

func (s *busySink) add(p *parcel) { s.r.queue.put(p.side, nil, p.data(), p.at) }

func (s *busySink) flush(time.Duration) error {
	s.flushed++
	return nil
}

func (s *busySink) size() int64 { return 0 }

// Packets that come as fast as they are taken keep nothing from the disk.
func TestEndlessPackets(t *testing.T) {
	r := newRecording(time.Now(), slog.New(slog.DiscardHandler))
	busy := &busySink{r: r}
	r.sinks = []sink{busy}
	r.queue.put(0, ulaw(), spoken(t, 1, 500), 0)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if err := r.drain(); err != nil {
			t.Error(err)
		}
	}()
	inTime(t, "drained", drained)
	if busy.flushed != 1 {
		t.Errorf("flushed %d times", busy.flushed)
	}
}

func TestOverrun(t *testing.T) {
	r := newRecording(time.Now(), slog.New(slog.DiscardHandler))
	p := spoken(t, 1, 500)
	if n := testing.AllocsPerRun(queueLength/2, func() { r.queue.put(0, ulaw(), p, 0) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
	for r.queue.put(1, ulaw(), p, 0) {
	}
	r.overrun.Add(1)
	close(r.ended)
	if result := r.Finish(time.Minute); result.End != Overrun || result.Lost != 1 {
		t.Errorf("%+v", result)
	}
}
