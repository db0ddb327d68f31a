package location

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var _ Store = (*File)(nil)

// File is a Memory whose bindings are found again after a restart. What changes is written behind, many changes at once, so that
// no REGISTER waits for a disk: a crash loses the last writeEvery at most, which the clients' refreshes make good. A disk that
// fails is logged; the bindings in memory go on.
type File struct {
	*Memory

	// static after construction
	db  *bbolt.DB
	now func() time.Time
	log *slog.Logger

	write sync.Mutex // one writer at a time

	mu      sync.Mutex
	changed map[string]bool // guarded by mu: tokens whose binding is to be written or removed
	swept   time.Time       // guarded by write: when what has expired was last removed

	stop chan struct{}
	done chan struct{}
	once sync.Once
}

const (
	writeEvery  = 200 * time.Millisecond
	sweepEvery  = time.Minute
	openTimeout = 2 * time.Second
)

// OpenFile opens or makes the file, which one process has alone, and reads its bindings: dormant, for the flows of the process
// that wrote them are gone. now is the clock. The caller closes it.
func OpenFile(path string, now func() time.Time, log *slog.Logger) (*File, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = errors.New("another process has it open")
	}
	if err != nil {
		return nil, fmt.Errorf("location: %s: %w", path, err)
	}
	f := &File{
		Memory: NewMemory(now), db: db, now: now, log: log, changed: map[string]bool{}, swept: now(),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := f.load(); err != nil {
		db.Close()
		return nil, fmt.Errorf("location: %s: %w", path, err)
	}
	go f.run()
	return f, nil
}

func bucket() []byte { return []byte("bindings") }

// load reads what the process before has left.
func (f *File) load() error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket())
		if err != nil {
			return err
		}
		return b.ForEach(func(token, text []byte) error {
			var kept Binding
			if err := json.Unmarshal(text, &kept); err != nil {
				f.log.Error("a binding in the store cannot be read", "token", string(token), "error", err)
				return nil
			}
			if kept.Flow != "" {
				kept.Flow, kept.LastFlow = "", kept.Flow
			}
			f.Memory.Put(kept)
			return nil
		})
	})
}

// Put implements Store.
func (f *File) Put(b Binding) (Binding, bool) {
	old, had := f.Memory.Put(b)
	f.note(b.Token)
	return old, had
}

// Remove implements Store.
func (f *File) Remove(token string) {
	f.Memory.Remove(token)
	f.note(token)
}

func (f *File) note(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed[token] = true
}

// run writes until Close.
func (f *File) run() {
	defer close(f.done)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flush()
		case <-f.stop:
			f.flush()
			return
		}
	}
}

// flush writes what changed, in one transaction.
func (f *File) flush() {
	f.write.Lock()
	defer f.write.Unlock()
	f.mu.Lock()
	changed := f.changed
	f.changed = map[string]bool{}
	f.mu.Unlock()
	now := f.now()
	sweep := now.Sub(f.swept) >= sweepEvery
	if len(changed) == 0 && !sweep {
		return
	}
	if err := f.db.Update(func(tx *bbolt.Tx) error { return f.store(tx.Bucket(bucket()), changed, sweep) }); err != nil {
		f.log.Error("bindings are not written", "error", err)
		f.mu.Lock()
		for token := range changed {
			f.changed[token] = true // again next time
		}
		f.mu.Unlock()
		return
	}
	if sweep {
		f.swept = now
	}
}

// store writes the tokens' bindings as they are now; with sweep it removes those that have expired.
func (f *File) store(b *bbolt.Bucket, changed map[string]bool, sweep bool) error {
	if sweep {
		if err := b.ForEach(func(token, _ []byte) error { changed[string(token)] = true; return nil }); err != nil {
			return err
		}
	}
	for token := range changed {
		binding, known := f.ByToken(token)
		if !known {
			if err := b.Delete([]byte(token)); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(binding)
		if err != nil {
			return err
		}
		if err := b.Put([]byte(token), text); err != nil {
			return err
		}
	}
	return nil
}

// Close writes what is left and closes the file. Safe to call twice.
func (f *File) Close() {
	f.once.Do(func() {
		close(f.stop)
		<-f.done
		if err := f.db.Close(); err != nil {
			f.log.Error("the store is not closed in order", "error", err)
		}
	})
}
