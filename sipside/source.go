package sipside

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sources says which backend a source address belongs to.
type sources struct {
	members atomic.Pointer[memberTable]

	mu   sync.RWMutex
	hops map[netip.Addr]hop // guarded by mu; at most maxHops
}

// memberTable has the addresses of all members. Immutable.
type memberTable struct {
	exact map[netip.AddrPort]*Backend
	hosts map[netip.Addr]*Backend
	names map[string]*Backend // of servers, in lower case
	nets  []network           // the longest prefix first
}

// network is a range of addresses of one trunk.
type network struct {
	prefix  netip.Prefix
	backend *Backend
}

// hop is an address that a backend's dialog sent us to (a remote target or a route): requests in a dialog and responses
// may come from there.
type hop struct {
	backend *Backend
	expires time.Time
}

const (
	maxHops = 4096
	hopLife = 12 * time.Hour // a call may be silent for hours; each request sent there renews it
)

// standing is what a source address is to us.
type standing int

const (
	stranger standing = iota
	nextHopOnly
	member
)

// of identifies a source: the member at exactly this address and port, else the member that says so in its Via's
// sent-by (viaPort; a stream's source port is ephemeral), else a member or trunk of this host, else a learned hop.
func (s *sources) of(from netip.AddrPort, viaPort uint16) (*Backend, standing) {
	table := s.members.Load()
	if b := table.exact[from]; b != nil {
		return b, member
	}
	if b := table.exact[netip.AddrPortFrom(from.Addr(), viaPort)]; viaPort != 0 && b != nil {
		return b, member
	}
	if b := table.hosts[from.Addr()]; b != nil {
		return b, member
	}
	for _, n := range table.nets {
		if n.prefix.Contains(from.Addr()) {
			return n.backend, member
		}
	}
	s.mu.RLock()
	h, ok := s.hops[from.Addr()]
	s.mu.RUnlock()
	if ok && time.Now().Before(h.expires) {
		return h.backend, nextHopOnly
	}
	return nil, stranger
}

// learn admits an address that a backend's dialog leads to.
func (s *sources) learn(addr netip.Addr, b *Backend) {
	if s.members.Load().hosts[addr] != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if _, known := s.hops[addr]; !known && len(s.hops) >= maxHops {
		s.forgetOne(now)
	}
	s.hops[addr] = hop{b, now.Add(hopLife)}
}

// forgetOne drops the expired hops, or else the one that expires first. Called with mu held.
func (s *sources) forgetOne(now time.Time) {
	var oldest netip.Addr
	var at time.Time
	for addr, h := range s.hops {
		if now.After(h.expires) {
			delete(s.hops, addr)
		} else if at.IsZero() || h.expires.Before(at) {
			oldest, at = addr, h.expires
		}
	}
	if len(s.hops) >= maxHops {
		delete(s.hops, oldest)
	}
}

// rebuild makes the table of members anew, after a name's addresses changed. The first in the configuration's order wins.
func (s *sources) rebuild(backends []*Backend) {
	table := &memberTable{exact: map[netip.AddrPort]*Backend{}, hosts: map[netip.Addr]*Backend{}, names: map[string]*Backend{}}
	for _, b := range backends {
		for _, prefix := range b.settings.Load().sources {
			table.nets = append(table.nets, network{prefix.Masked(), b})
		}
		for _, t := range b.targets() {
			table.noteName(t.host, b)
		}
		for _, p := range b.located() {
			table.noteName(p.host, b)
			at, addr := p.addr, p.addr.Addr()
			if table.exact[at] == nil {
				table.exact[at] = b
			}
			if table.hosts[addr] == nil {
				table.hosts[addr] = b
			}
		}
	}
	slices.SortStableFunc(table.nets, func(a, b network) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	s.members.Store(table)
}

// Knows says whether an address is that of a pool's member or a trunk.
func (e *Endpoints) Knows(addr netip.Addr) bool {
	_, who := e.sources.of(netip.AddrPortFrom(addr.Unmap(), 0), 0)
	return who == member
}
