package media

import (
	"iter"
	"sync"
	"sync/atomic"
)

const (
	chunkSize = 1024
	maxChunks = 4096
)

// legTable numbers the legs. A ufrag carries its leg's number, so that any worker finds a check's leg without a lock.
type legTable struct {
	chunks  [maxChunks]atomic.Pointer[legChunk]
	foreign sync.Map // ufrag that another process or life minted → *Leg; read for checks only

	// guarded by mu
	mu    sync.Mutex
	size  uint32
	spare []uint32
	turn  int // for the next leg's first worker
}

type legChunk [chunkSize]atomic.Pointer[Leg]

func newLegTable() *legTable { return &legTable{} }

// add numbers the leg and chooses its first worker.
func (t *legTable) add(l *Leg, workers int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.spare); n > 0 {
		l.slot = t.spare[n-1]
		t.spare = t.spare[:n-1]
	} else {
		l.slot = t.size % (chunkSize * maxChunks)
		t.size++
	}
	chunk := &t.chunks[l.slot/chunkSize]
	if chunk.Load() == nil {
		chunk.Store(&legChunk{})
	}
	chunk.Load()[l.slot%chunkSize].Store(l)
	t.turn++
	return t.turn % workers
}

func (t *legTable) get(slot uint32) *Leg {
	if slot >= chunkSize*maxChunks {
		return nil
	}
	chunk := t.chunks[slot/chunkSize].Load()
	if chunk == nil {
		return nil
	}
	return chunk[slot%chunkSize].Load()
}

// all are the legs that are open.
func (t *legTable) all() iter.Seq[*Leg] {
	return func(yield func(*Leg) bool) {
		t.mu.Lock()
		size := t.size
		t.mu.Unlock()
		for slot := range size {
			if l := t.get(slot); l != nil && !yield(l) {
				return
			}
		}
	}
}

// adopt makes a restored leg's old ufrag known.
func (t *legTable) adopt(ufrag string, l *Leg) {
	if ufrag != "" {
		t.foreign.Store(ufrag, l)
	}
}

func (t *legTable) byForeign(ufrag string) *Leg {
	l, _ := t.foreign.Load(ufrag)
	leg, _ := l.(*Leg)
	return leg
}

func (t *legTable) remove(l *Leg) {
	if r := l.spec.Restore; r != nil {
		t.foreign.CompareAndDelete(r.Local.Ufrag, l)
		t.foreign.CompareAndDelete(r.Previous.Ufrag, l)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.get(l.slot) == l {
		t.chunks[l.slot/chunkSize].Load()[l.slot%chunkSize].Store(nil)
		t.spare = append(t.spare, l.slot)
	}
}
