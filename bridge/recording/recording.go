// Package recording writes what a call's legs say to files: decrypted stereo sound, or packets as Wireshark reads them. It sees
// the packets by a media tap; the packet path only copies them, and whatever the disk does the call goes on.
package recording

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
)

// How a recording ended.
const (
	Complete   = "complete"
	DiskFull   = "disk-full"
	WriteError = "write-error"
	Overrun    = "overrun" // complete but for packets that the disk was too slow for
)

const drainEvery = 100 * time.Millisecond

// Options say what to write and where.
type Options struct {
	Folder string // made where it is missing, with one folder in it for each tenant
	Tenant string
	Call   string // in the files' names
	Format string // "wav", "pcap", "both"
	Log    *slog.Logger
}

// Result is what became of a recording.
type Result struct {
	Files []string `json:"files"`
	Bytes int64    `json:"bytes"`
	End   string   `json:"end"`
}

// sink is one file that is being written.
type sink interface {
	add(p *parcel) error
	flush(now time.Duration) error // what will not change any more
	finish() error
	size() int64
}

// Recording is a media.Tap for both legs of one call; the leg named "caller" is the left channel.
type Recording struct {
	// static after construction
	start  time.Time
	log    *slog.Logger
	files  []string
	stop   chan struct{}
	ended  chan struct{} // closed when the files are
	broken chan struct{} // closed at the first fault

	queue   queue
	overrun atomic.Uint64
	bytes   atomic.Int64
	reason  atomic.Pointer[string]

	// owned by run
	sinks []sink
}

var _ media.Tap = (*Recording)(nil)

// Start opens the files and begins to write. An error leaves nothing behind but, perhaps, an empty file.
func Start(o Options) (*Recording, error) {
	r := &Recording{start: time.Now(), log: o.Log, stop: make(chan struct{}), ended: make(chan struct{}), broken: make(chan struct{})}
	folder := filepath.Join(o.Folder, plain(o.Tenant))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	name := filepath.Join(folder, r.start.UTC().Format("20060102T150405.000Z")+"-"+plain(o.Call))
	for _, format := range []string{"wav", "pcap"} {
		if o.Format != format && o.Format != "both" {
			continue
		}
		file := name + "." + format
		out, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			r.close()
			return nil, fmt.Errorf("recording: %w", err)
		}
		r.files = append(r.files, file)
		if format == "wav" {
			r.sinks = append(r.sinks, newSound(out))
		} else {
			r.sinks = append(r.sinks, newCapture(out, r.start))
		}
	}
	if len(r.sinks) == 0 {
		return nil, fmt.Errorf("recording: no format %q", o.Format)
	}
	go r.run()
	return r, nil
}

// plain keeps of a name what is safe in a file's.
func plain(name string) string {
	name = regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(name, "_")
	return strings.TrimLeft(name, ".")
}

// Packet is called from the packet path: it copies and returns.
func (r *Recording) Packet(leg *media.Leg, slot sdp.Slot, codec *sdp.Codec, packet []byte, at time.Time) {
	if slot != sdp.Audio {
		return
	}
	side := 1
	if leg.Name() == "caller" {
		side = 0
	}
	if !r.queue.put(side, codec, packet, at.Sub(r.start)) {
		r.overrun.Add(1)
	}
}

// Finish ends the recording, waits for the files at most so long, and says what became of it.
func (r *Recording) Finish(most time.Duration) Result {
	close(r.stop)
	select {
	case <-r.ended:
	case <-time.After(most):
		r.log.Warn("recording is still being written", "file", r.files[0])
	}
	result := Result{Files: r.files, Bytes: r.bytes.Load(), End: Complete}
	if why := r.reason.Load(); why != nil {
		result.End = *why
	} else if r.overrun.Load() > 0 {
		result.End = Overrun
	}
	return result
}

func (r *Recording) run() {
	defer close(r.ended)
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.note(r.drain())
		case <-r.stop:
			r.note(errors.Join(r.drain(), r.close()))
			return
		}
	}
}

// drain writes what came.
func (r *Recording) drain() error {
	var faults []error
	for p := r.queue.peek(); p != nil; p = r.queue.peek() {
		for _, s := range r.sinks {
			faults = append(faults, s.add(p))
		}
		r.queue.advance()
	}
	size := int64(0)
	for _, s := range r.sinks {
		faults = append(faults, s.flush(time.Since(r.start)))
		size += s.size()
	}
	if len(r.sinks) > 0 {
		r.bytes.Store(size)
	}
	return errors.Join(faults...)
}

// note ends the writing at the first fault: the call goes on without its recording.
func (r *Recording) note(err error) {
	if err == nil || r.reason.Load() != nil {
		return
	}
	why := WriteError
	if errors.Is(err, syscall.ENOSPC) {
		why = DiskFull
	}
	r.reason.Store(&why)
	close(r.broken)
	r.log.Error("recording ended", "file", r.files[0], "reason", why, "error", err)
	_ = r.close()
}

func (r *Recording) close() error {
	var faults []error
	size := int64(0)
	for _, s := range r.sinks {
		faults = append(faults, s.finish())
		size += s.size()
	}
	if len(r.sinks) > 0 {
		r.bytes.Store(size)
	}
	r.sinks = nil
	return errors.Join(faults...)
}
