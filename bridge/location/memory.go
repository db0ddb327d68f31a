package location

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"
)

var _ Store = (*Memory)(nil)

// Memory is the Store of one process. It has no goroutine: each call first drops what has expired, so that an expired binding
// is never returned or counted, and costs no memory beyond the next call.
type Memory struct {
	now func() time.Time // static after construction

	mu      sync.Mutex // guards what follows
	puts    uint64
	byToken map[string]*entry
	byAOR   index
	byFlow  index
	expiry  expiryHeap
}

// entry is a stored binding; put orders answers, at is its place in the heap.
type entry struct {
	Binding
	put uint64
	at  int
}

// NewMemory is the Store of one process; now is its clock. Expired bindings are never returned, and are swept.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, byToken: map[string]*entry{}, byAOR: index{}, byFlow: index{}}
}

// Put implements Store.
func (m *Memory) Put(b Binding) (Binding, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.sweep()
	var replaced Binding
	old, had := m.byToken[b.Token]
	if had {
		replaced = old.Binding
		m.drop(old)
	}
	if b.Expires.After(now) {
		m.puts++
		e := &entry{Binding: b, put: m.puts}
		m.byToken[b.Token] = e
		m.byAOR.add(b.AOR, e)
		m.byFlow.add(b.Flow, e)
		heap.Push(&m.expiry, e)
	}
	return replaced, had
}

// ByToken implements Store.
func (m *Memory) ByToken(token string) (Binding, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	e, ok := m.byToken[token]
	if !ok {
		return Binding{}, false
	}
	return e.Binding, true
}

// ByAOR implements Store.
func (m *Memory) ByAOR(aor string) []Binding {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	return m.byAOR.list(aor)
}

// ByFlow implements Store.
func (m *Memory) ByFlow(flow string) []Binding {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	return m.byFlow.list(flow)
}

// Remove implements Store.
func (m *Memory) Remove(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	if e, ok := m.byToken[token]; ok {
		m.drop(e)
	}
}

// Len implements Store.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	return len(m.byToken)
}

// sweep drops what has expired and gives the time by which it judged. The caller holds mu.
func (m *Memory) sweep() time.Time {
	now := m.now()
	for len(m.expiry) > 0 && !m.expiry[0].Expires.After(now) {
		m.drop(m.expiry[0])
	}
	return now
}

func (m *Memory) drop(e *entry) {
	delete(m.byToken, e.Token)
	m.byAOR.remove(e.AOR, e)
	m.byFlow.remove(e.Flow, e)
	heap.Remove(&m.expiry, e.at)
}

// index finds entries by a key that several may share; the empty key is not indexed.
type index map[string]map[*entry]struct{}

func (x index) add(key string, e *entry) {
	if key == "" {
		return
	}
	set := x[key]
	if set == nil {
		set = map[*entry]struct{}{}
		x[key] = set
	}
	set[e] = struct{}{}
}

func (x index) remove(key string, e *entry) {
	set := x[key]
	delete(set, e)
	if len(set) == 0 {
		delete(x, key)
	}
}

func (x index) list(key string) []Binding {
	set := x[key]
	if len(set) == 0 {
		return nil
	}
	entries := make([]*entry, 0, len(set))
	for e := range set {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(b.put, a.put) })
	bindings := make([]Binding, len(entries))
	for i, e := range entries {
		bindings[i] = e.Binding
	}
	return bindings
}

// expiryHeap has the entry that expires first on top (container/heap).
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push and Pop are container/heap's.
func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}

func (h *expiryHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}
