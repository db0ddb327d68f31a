package wss

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
)

// flows maps flow ids to connections, nothing more.
type flows struct {
	prefix  string         // static: ids of two runs of the process differ
	running sync.WaitGroup // goroutines of connections

	mu sync.RWMutex
	// guarded by mu
	last   uint64
	byID   map[string]*Conn
	isShut bool
}

func newFlows() flows {
	return flows{prefix: strings.ToLower(rand.Text()[:8]), byID: make(map[string]*Conn)}
}

// add gives the connection its id and counts its goroutine; false after shut.
func (f *flows) add(c *Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isShut {
		return false
	}
	f.last++
	c.flow = f.prefix + strconv.FormatUint(f.last, 36)
	f.byID[c.flow] = c
	f.running.Add(1)
	return true
}

func (f *flows) remove(c *Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byID, c.flow)
}

func (f *flows) find(id string) *Conn {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byID[id]
}

func (f *flows) len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.byID)
}

func (f *flows) closing() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.isShut
}

// shut lets nobody in any more and gives those who are.
func (f *flows) shut() []*Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isShut = true
	open := make([]*Conn, 0, len(f.byID))
	for _, c := range f.byID {
		open = append(open, c)
	}
	return open
}
