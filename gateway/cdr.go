package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"tandem/bridge"
)

// recordQueue is how many records wait for the disk before they are lost.
const recordQueue = 4096

// recordStats are the figures of the call records.
type recordStats struct {
	Written uint64
	Lost    map[string]uint64 // by reason: "queue-full", "write-failed"
}

// records writes call records as JSON lines. One goroutine owns the file; calls never wait for it.
type records struct {
	// static after construction
	file  string
	open  func() (io.WriteCloser, error)
	log   *slog.Logger
	queue chan bridge.Record
	again chan struct{} // one place: open the file anew
	done  chan struct{} // closed when the goroutine has ended

	closing   sync.RWMutex // CallEvent reads, close writes
	closed    bool         // guarded by closing
	written   atomic.Uint64
	queueFull atomic.Uint64
	failed    atomic.Uint64

	// owned by run
	out    io.WriteCloser // nil after a failed opening
	broken bool           // the last write failed: said once, until one works
	torn   bool           // the file ends within a line
}

// openRecords opens the file for appending and starts to write; an empty name gives a sink that keeps nothing.
func openRecords(file string, log *slog.Logger) (*records, error) {
	if file == "" {
		return nil, nil
	}
	return startRecords(file, log, func() (io.WriteCloser, error) {
		return os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	})
}

func startRecords(file string, log *slog.Logger, open func() (io.WriteCloser, error)) (*records, error) {
	out, err := open()
	if err != nil {
		return nil, fmt.Errorf("gateway: records.file: %w", err)
	}
	r := &records{
		file: file, open: open, log: log, out: out,
		queue: make(chan bridge.Record, recordQueue),
		again: make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
	go r.run()
	return r, nil
}

// CallEvent takes the record of a call that ended; a mere challenge is none. It does not block.
func (r *records) CallEvent(e bridge.Event) {
	if r == nil || e.Record == nil || e.Record.Challenged() {
		return
	}
	r.closing.RLock()
	defer r.closing.RUnlock()
	if r.closed {
		r.queueFull.Add(1)
		return
	}
	select {
	case r.queue <- *e.Record:
	default:
		r.queueFull.Add(1)
	}
}

// reopen makes the next record go to a newly opened file of the same name (log rotation).
func (r *records) reopen() {
	if r == nil {
		return
	}
	select {
	case r.again <- struct{}{}:
	default: // asked for already
	}
}

// close writes what waits and closes the file. Safe to call twice.
func (r *records) close() {
	if r == nil {
		return
	}
	r.closing.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.closing.Unlock()
	<-r.done
}

func (r *records) stats() recordStats {
	if r == nil {
		return recordStats{}
	}
	return recordStats{
		Written: r.written.Load(),
		Lost:    map[string]uint64{"queue-full": r.queueFull.Load(), "write-failed": r.failed.Load()},
	}
}

func (r *records) run() {
	defer close(r.done)
	defer func() {
		if r.out != nil {
			r.out.Close()
		}
	}()
	for {
		select {
		case <-r.again:
			r.rotate()
		case record, open := <-r.queue:
			if !open {
				return
			}
			r.write(record)
		}
	}
}

func (r *records) rotate() {
	if r.out != nil {
		r.out.Close()
		r.out = nil
	}
	out, err := r.open()
	if err != nil {
		r.complain(err)
		return
	}
	r.out, r.torn = out, false
}

func (r *records) write(record bridge.Record) {
	if r.out == nil {
		r.rotate()
	}
	if r.out == nil {
		r.failed.Add(1)
		return
	}
	var line bytes.Buffer
	if r.torn {
		line.WriteByte('\n')
	}
	if err := json.NewEncoder(&line).Encode(record); err != nil {
		r.failed.Add(1)
		r.complain(err)
		return
	}
	n, err := r.out.Write(line.Bytes())
	if err != nil {
		r.torn = r.torn || n > 0
		r.failed.Add(1)
		r.complain(err)
		return
	}
	r.torn = false
	r.written.Add(1)
	if r.broken {
		r.broken = false
		r.log.Info("call records are written again", "file", r.file, "lost", r.failed.Load())
	}
}

// complain says the first of a row of failures; the counter has the rest.
func (r *records) complain(err error) {
	if !r.broken {
		r.log.Error("call records are not written; they are lost until this is mended", "file", r.file, "error", err)
	}
	r.broken = true
}
