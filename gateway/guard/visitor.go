package guard

import (
	"net/netip"
	"sync/atomic"
)

// Visitor is one connection of a browser. It meets wss.Visitor.
type Visitor struct {
	// static after construction
	guard *Guard
	from  netip.Addr

	// safe for concurrent use
	requests atomic.Int64                      // bucket
	proofs   [maxProofs]atomic.Pointer[string] // identities whose credentials were good here
	proved   atomic.Bool                       // some were

	// owned by the connection's reading goroutine
	refused int // requests in a row
}

// maxProofs bounds the identities of one connection that are known to be its own.
const maxProofs = 4

// Visit lets an address in by a WebSocket; nil where it is banned or came too often.
func (g *Guard) Visit(from netip.Addr) *Visitor {
	cfg := g.cfg.Load()
	if !g.enters(cfg, cfg.Handshakes, HandshakeRate, from) {
		return nil
	}
	return &Visitor{guard: g, from: from}
}

// Message counts a message before it is parsed: it is served where ok, else refused, and with end nothing more is heard of a
// scanner, of who goes on and on, and of who proved nothing when its address is banned. One goroutine calls it.
func (v *Visitor) Message(data []byte) (ok, end bool) {
	g, cfg := v.guard, v.guard.cfg.Load()
	if isResponse(data) || g.free(cfg, v.from) {
		return true, false
	}
	now := g.now().UnixNano()
	if !v.proved.Load() {
		switch {
		case g.shut(v.from, now):
			g.counts.refuse(BannedAddress)
			return false, true
		case len(cfg.scanners) > 0 && cfg.scans(header(data, "user-agent", 0)):
			g.scanned(cfg, v.from, WebSocket)
			return false, true
		case !cfg.Unproven.take(g.rates, g.key(v.from, uint64(UnprovenRate)), now):
			g.counts.refuse(UnprovenRate)
			return v.tooMany(cfg)
		}
	}
	if cfg.Requests.Rate > 0 && !cfg.Requests.fill(&v.requests, now) {
		g.counts.refuse(RequestRate)
		return v.tooMany(cfg)
	}
	v.refused = 0
	return true, false
}

// tooMany refuses a message, and at last the connection.
func (v *Visitor) tooMany(cfg *settings) (ok, end bool) {
	v.refused++
	return false, v.refused > max(cfg.Requests.Burst, refusedMost)
}

// refusedMost is how many requests in a row are refused at least before the connection ends.
const refusedMost = 100

// Admit says whether a request outside a dialog may come in, in the name of an address of record; else with which status it is
// refused, and why. Who the connection proved to be is counted wherever it comes from, others by their address, too: nobody can use
// up another's rate by naming it.
func (v *Visitor) Admit(aor string) (status int, why string) {
	g, cfg := v.guard, v.guard.cfg.Load()
	if g.free(cfg, v.from) {
		return 0, ""
	}
	now, pair := g.now().UnixNano(), g.pair(v.from, aor)
	counted := g.name(aor)
	if !v.isProved(aor) {
		counted = pair
		switch {
		case g.bans.holds(pair, now):
			g.counts.refuse(BannedIdentity)
			return 403, "too many wrong credentials; try again later"
		case g.bans.holds(g.key(v.from, 0), now) && !g.trusts(pair, now):
			g.counts.refuse(BannedAddress)
			return 403, "nobody new is let in from this address now; try again later"
		}
	}
	if !cfg.Identity.take(g.rates, counted, now) {
		g.counts.refuse(IdentityRate)
		return 503, "too many requests of this user"
	}
	return 0, ""
}

// Judged tells what became of the credentials of a request for an address of record; "" is one that is not known, as with a
// token.
func (v *Visitor) Judged(aor string, good bool) {
	if !good {
		v.guard.wrong(v.from, aor, WebSocket)
		return
	}
	v.proved.Store(true)
	v.guard.proved(v.from, aor)
	if aor == "" || v.isProved(aor) {
		return
	}
	for i := range v.proofs {
		if v.proofs[i].CompareAndSwap(nil, &aor) {
			return
		}
	}
}

func (v *Visitor) isProved(aor string) bool {
	for i := range v.proofs {
		if p := v.proofs[i].Load(); p != nil && *p == aor {
			return true
		}
	}
	return false
}
