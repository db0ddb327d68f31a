package guard

import (
	"bytes"
	"net/netip"
	"sync/atomic"
)

// Visitor is one connection of a browser. It meets wss.Visitor.
type Visitor struct {
	// static after construction
	guard *Guard
	from  netip.Addr
	free  bool // never limited

	requests atomic.Int64 // bucket

	// owned by the connection's reading goroutine
	refused int // requests in a row
}

// Visit lets an address in by a WebSocket; nil where it came too often.
func (g *Guard) Visit(from netip.Addr) *Visitor {
	cfg := g.cfg.Load()
	if !g.within(cfg, cfg.Handshakes, HandshakeRate, from) {
		return nil
	}
	return &Visitor{guard: g, from: from, free: cfg.allows(from) || g.friend(from)}
}

// Message counts a message before it is parsed: it is served where ok, else refused, and with end nothing more is heard of who
// goes on and on. One goroutine calls it.
func (v *Visitor) Message(data []byte) (ok, end bool) {
	limit := v.guard.cfg.Load().Requests
	if v.free || limit.Rate == 0 || isResponse(data) || limit.take(&v.requests, v.guard.now().UnixNano()) {
		v.refused = 0
		return true, false
	}
	v.guard.counts.refused[RequestRate].Add(1)
	v.refused++
	return false, v.refused > limit.Burst
}

// isResponse says whether a message answers one of ours.
func isResponse(data []byte) bool { return bytes.HasPrefix(data, []byte("SIP/2.0 ")) }

// Admit says whether a request outside a dialog may come in, in the name of an address of record; else with which status it is
// refused, and why.
func (v *Visitor) Admit(aor string) (status int, why string) { return 0, "" }

// Judged tells what became of the credentials of a request for an address of record.
func (v *Visitor) Judged(aor string, good bool) {}
