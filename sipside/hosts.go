package sipside

import (
	"net/netip"
	"strings"
)

// PoolOf says which pool or trunk a host belongs to: an address without brackets, or a name, of one of its servers. "" and true for a
// host of our own towards backends. Safe for concurrent use.
func (e *Endpoints) PoolOf(host string) (pool string, known bool) {
	if b := e.sources.owner(host); b != nil {
		return b.pool, true
	}
	if e.advertise != "" && strings.EqualFold(strings.Trim(e.advertise, "[]"), host) {
		return "", true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", false
	}
	for _, l := range e.listeners {
		if l.addr().Addr().Unmap() == addr.Unmap() {
			return "", true
		}
	}
	return "", false
}

// owner is the backend of which a host is a server; nil where there is none.
func (s *sources) owner(host string) *Backend {
	table := s.members.Load()
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return table.names[strings.ToLower(strings.TrimSuffix(host, "."))]
	}
	if b := table.hosts[addr.Unmap()]; b != nil {
		return b
	}
	for _, n := range table.nets {
		if n.prefix.Contains(addr.Unmap()) {
			return n.backend
		}
	}
	return nil
}

// noteName keeps a server's name, the first backend's where several have it.
func (t *memberTable) noteName(host string, b *Backend) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" || t.names[host] != nil {
		return
	}
	t.names[host] = b
}
