package guard

import "sync/atomic"

// ways is how many cells a key may be in.
const ways = 8

// slots is a table of fixed size from keys to numbers, without locks. A key that finds no room takes that of the smallest
// number: of the bucket that was paid first, of what ends first. Two that come at once may lose one count.
type slots struct {
	mask  uint64
	cells []cell
}

type cell struct {
	key   atomic.Uint64
	value atomic.Int64
}

// newSlots makes a table of size cells, a power of two.
func newSlots(size int) *slots {
	return &slots{mask: uint64(size/ways - 1), cells: make([]cell, size)}
}

func (s *slots) set(key uint64) []cell {
	at := (key >> 20) & s.mask * ways
	return s.cells[at : at+ways]
}

// find gives a key's number; nil where it is not known.
func (s *slots) find(key uint64) *atomic.Int64 {
	set := s.set(key)
	for i := range set {
		if set[i].key.Load() == key {
			return &set[i].value
		}
	}
	return nil
}

// claim gives a key's number, which is 0 where it was not known.
func (s *slots) claim(key uint64) *atomic.Int64 {
	for {
		if v := s.find(key); v != nil {
			return v
		}
		set := s.set(key)
		least, smallest := 0, set[0].value.Load()
		for i := 1; i < ways; i++ {
			if v := set[i].value.Load(); v < smallest {
				least, smallest = i, v
			}
		}
		c := &set[least]
		if old := c.key.Load(); old != key && c.key.CompareAndSwap(old, key) {
			c.value.Store(0)
			return &c.value
		}
	}
}

// forget makes a key's number 0.
func (s *slots) forget(key uint64) {
	if v := s.find(key); v != nil {
		v.Store(0)
	}
}
