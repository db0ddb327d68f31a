// Package watched reads files again when they change.
package watched

import (
	"log/slog"
	"os"
	"sync"
	"time"
)

// LookEvery is how often a file is looked at for changes.
const LookEvery = time.Second

// File is what a file holds, read again when it changes; one that turned bad leaves what was known, and is complained about once. Safe
// for concurrent use.
type File[T any] struct {
	// static after construction
	name string
	read func([]byte) (T, error)
	log  *slog.Logger

	mu sync.Mutex
	// guarded by mu
	looked time.Time
	mark   mark
	held   T
	err    error // of the first reading; nil once one succeeded
}

// mark is by what a change of a file is seen.
type mark struct {
	at   time.Time
	size int64
}

// New names a file and what reads its text; log may be nil.
func New[T any](name string, read func([]byte) (T, error), log *slog.Logger) *File[T] {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &File[T]{name: name, read: read, log: log}
}

// Get gives what the file holds at a time; the error of the first reading lasts until one succeeds.
func (f *File[T]) Get(now time.Time) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.looked.IsZero() && now.Sub(f.looked) < LookEvery {
		return f.held, f.err
	}
	first := f.looked.IsZero()
	f.looked = now
	info, err := os.Stat(f.name)
	if err == nil && (mark{info.ModTime(), info.Size()}) == f.mark {
		return f.held, f.err
	}
	var text []byte
	if err == nil {
		f.mark = mark{info.ModTime(), info.Size()} // of a faulty one, too: it is complained about once
		text, err = os.ReadFile(f.name)
	}
	var held T
	if err == nil {
		held, err = f.read(text)
	}
	switch {
	case err == nil:
		if !first {
			f.log.Info("a file was read anew", "file", f.name)
		}
		f.held, f.err = held, nil
	case first || f.err != nil:
		f.err = err
	default:
		f.log.Error("a file is not read anew", "file", f.name, "error", err)
	}
	return f.held, f.err
}
