// Package recording writes what a call's legs say to files: decrypted stereo sound, or packets as Wireshark reads them. It sees
// the packets by a media tap; the packet path only copies them, and whatever the disk or a codec does the call goes on.
package recording

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tandem/bridge/media"
	"tandem/bridge/sdp"
)

// How a recording ended.
const (
	Complete   = "complete"
	DiskFull   = "disk-full"   // the disk, or what of it the process may use
	WriteError = "write-error" // any other fault of the disk
	Fault      = "fault"       // a fault of ours, such as a codec's
	Overrun    = "overrun"     // complete but for packets that the disk was too slow for
	Unfinished = "unfinished"  // the disk did not take all in time; it may yet
)

// Options say what to write and where.
type Options struct {
	Disk   Disk   // nil: this machine's
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
	Lost  uint64   `json:"lost_packets,omitempty"` // that are missing, for the disk was too slow
	End   string   `json:"end,omitempty"`          // empty while it goes on
}

// Recording is a media.Tap for both legs of one call; the leg named "caller" is the left channel.
type Recording struct {
	// static after construction
	start time.Time
	log   *slog.Logger
	files []string
	stop  chan struct{}
	ended chan struct{} // closed when the files are

	once   sync.Once
	result Result // guarded by once

	queue   queue
	overrun atomic.Uint64
	bytes   atomic.Int64
	reason  atomic.Pointer[string] // of a fault

	// owned by run
	sinks []sink
}

var _ media.Tap = (*Recording)(nil)

// Start opens the files and begins to write. For its error see EndOf; it leaves no file behind.
func Start(o Options) (*Recording, error) {
	if o.Disk == nil {
		o.Disk = localDisk{}
	}
	r := newRecording(time.Now(), o.Log)
	for _, name := range o.names(r.start) {
		out, err := o.Disk.Create(name)
		if err == nil {
			r.files = append(r.files, name)
			r.sinks = append(r.sinks, newSink(name, out, r.start))
			err = r.sinks[len(r.sinks)-1].begin()
		}
		if err != nil {
			_ = r.close(0)
			for _, name := range r.files {
				_ = o.Disk.Remove(name)
			}
			return nil, fmt.Errorf("recording: %w", err)
		}
	}
	if len(r.sinks) == 0 {
		return nil, fmt.Errorf("recording: no format %q", o.Format)
	}
	go r.run()
	return r, nil
}

func newRecording(start time.Time, log *slog.Logger) *Recording {
	return &Recording{start: start, log: log, stop: make(chan struct{}), ended: make(chan struct{})}
}

// Packet is called from the packet path: it copies and returns.
func (r *Recording) Packet(leg *media.Leg, slot sdp.Slot, codec *sdp.Codec, packet []byte, at time.Time) {
	if slot != sdp.Audio || r.reason.Load() != nil {
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

// Progress is what is written so far.
func (r *Recording) Progress() Result {
	return Result{Files: r.files, Bytes: r.bytes.Load(), Lost: r.overrun.Load()}
}

// Finish ends the recording, waits for the files at most so long, and says what became of it. Again it says the same.
func (r *Recording) Finish(most time.Duration) Result {
	r.once.Do(func() { r.result = r.finish(most) })
	return r.result
}

func (r *Recording) finish(most time.Duration) Result {
	close(r.stop)
	patience := time.NewTimer(most)
	defer patience.Stop()
	end := Complete
	select {
	case <-r.ended:
	case <-patience.C:
		end = Unfinished
		r.log.Warn("recording is still being written", "files", r.files)
	}
	result := r.Progress()
	switch why := r.reason.Load(); {
	case why != nil:
		end = *why
	case end == Complete && result.Lost > 0:
		end = Overrun
	}
	result.End = end
	return result
}
