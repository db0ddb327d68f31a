// Package guard says who may come in, and how often: limits by connection, identity and address, bans, and what gives scanners
// away. It knows none of the doors; each asks it through a small interface of its own, which the gateway wires.
//
// Who has an identity or a connection is counted by it, so that an office behind one address is not shut out by one phone. By
// address is counted what has neither. An address is an IPv4 address or an IPv6 /64 network. Credentials that were good earn an
// identity trust at its address, and the address that no ban shuts it out whole.
package guard

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
)

// Config is what a Guard works with. Zero limits limit nothing.
type Config struct {
	Off         bool  // everybody is let in, whatever else stands here
	Connections Limit // connections, TLS handshakes with them, of one address
	Handshakes  Limit // WebSocket handshakes of one address
	Requests    Limit // requests of one connection
	Unproven    Limit // requests of all connections of one address that proved no identity
	Identity    Limit // requests outside dialogs of one identity
	Failures    Failures
	Bans        Bans
	Allow       []netip.Prefix // never limited nor banned
	Scanners    []string       // parts of the User-Agent, in any case
	Answer      bool           // strangers' datagrams are answered with 403, at a bounded rate; else with silence
}

// Failures says after how many wrong credentials a ban follows.
type Failures struct {
	Identity int           // of one identity from one address; 0: any number
	Address  int           // identities that fail from one address; 0: any number
	Within   time.Duration // in which one is forgotten for each that may be
}

// Bans says how long a ban lasts: each next one twice as long as the one before.
type Bans struct {
	First, Longest time.Duration
	UDP            bool // datagrams may ban their source, though anybody can write any source on them
}

// Options are what a Guard gets beside its configuration; all may be left out.
type Options struct {
	Friend func(netip.Addr) bool // who is never limited nor banned: members of pools, and trunks
	Keep   bool                  // trust is to be kept: see Guard.Keep
	Now    func() time.Time
	Log    *slog.Logger
}

// Guard decides. Safe for concurrent use; letting in and keeping out take no lock and allocate nothing.
type Guard struct {
	// static after construction
	seed    maphash.Seed
	now     func() time.Time
	log     *slog.Logger
	friend  func(netip.Addr) bool
	rates   *slots // buckets, of addresses that answered a TCP handshake
	failed  *slots // buckets of failures of the same
	forged  *slots // buckets of what comes in datagrams, whose source may be anybody's
	trusted *slots // until when, in nanoseconds
	lines   *slots // buckets of log lines
	answers atomic.Int64
	said    atomic.Int64 // bucket of the log lines about datagrams
	bans    *bans
	keeps   *trusts       // nil: trust is not kept
	changes atomic.Uint64 // of keeps
	counts  counts

	cfg atomic.Pointer[settings]
}

// settings are a configuration, ready for use.
type settings struct {
	Config
	scanners [][]byte // in lower case
}

// tableSize bounds what is known of addresses and identities: 1 MB for each table.
const tableSize = 1 << 16

// New makes a Guard.
func New(cfg Config, o Options) *Guard {
	g := &Guard{
		seed: maphash.MakeSeed(), now: o.Now, log: o.Log, friend: o.Friend, bans: newBans(),
		rates: newSlots(tableSize), failed: newSlots(tableSize), forged: newSlots(tableSize), trusted: newSlots(tableSize),
		lines: newSlots(tableSize),
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.friend == nil {
		g.friend = func(netip.Addr) bool { return false }
	}
	if o.Keep {
		g.keeps = &trusts{held: map[trusted]int64{}}
	}
	g.Reload(cfg)
	return g
}

// Reload takes another configuration; what was counted, bans and trust stay.
func (g *Guard) Reload(cfg Config) { g.cfg.Store(&settings{cfg, lowered(cfg.Scanners)}) }

// Connection says whether an address may connect, before anything is read of it.
func (g *Guard) Connection(from netip.Addr) bool {
	cfg := g.cfg.Load()
	return g.enters(cfg, cfg.Connections, ConnectionRate, from)
}

// Known says whether somebody proved himself from an address lately, or it is one that is never limited.
func (g *Guard) Known(from netip.Addr) bool {
	return g.free(g.cfg.Load(), from) || g.trusts(g.key(from, 0), g.now().UnixNano())
}

// enters counts one more of what a limit bounds for an address and says whether it is let in.
func (g *Guard) enters(cfg *settings, l Limit, kind Refusal, from netip.Addr) bool {
	now := g.now().UnixNano()
	switch {
	case g.free(cfg, from):
		return true
	case g.shut(from, now):
		g.counts.refuse(BannedAddress)
		return false
	case !l.take(g.rates, g.key(from, uint64(kind)), now):
		g.counts.refuse(kind)
		return false
	}
	return true
}

// shut says whether an address is banned whole: one from which identities proved themselves is shut to others only.
func (g *Guard) shut(from netip.Addr, now int64) bool {
	return g.bans.holds(g.key(from, 0), now) && !g.trusts(g.key(from, 0), now)
}

// trusts says whether credentials were good lately for a key.
func (g *Guard) trusts(key uint64, now int64) bool {
	until := g.trusted.find(key)
	return until != nil && until.Load() > now
}

// free says whether an address is never limited nor banned.
func (g *Guard) free(cfg *settings, from netip.Addr) bool {
	if cfg.Off {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, p := range cfg.Allow {
		if p.Contains(from) {
			return true
		}
	}
	return g.friend(from)
}

// network is what somebody is known by: with IPv6 the /64, for one host has all of it.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// key is a number for an address and what it is counted for, that nobody outside can aim at. 0 is for the address itself.
func (g *Guard) key(from netip.Addr, of uint64) uint64 {
	from = from.Unmap()
	bytes := from.As16()
	if from.Is6() {
		clear(bytes[8:])
	}
	return mix(maphash.Bytes(g.seed, bytes[:]), of)
}

// pair is the key of an identity at an address.
func (g *Guard) pair(from netip.Addr, identity string) uint64 {
	return g.key(from, g.name(identity))
}

// name is the key of an identity wherever it is.
func (g *Guard) name(identity string) uint64 { return maphash.String(g.seed, identity) | 1 }

// mix makes one number of two.
func mix(a, b uint64) uint64 {
	a ^= b * 0x9e3779b97f4a7c15
	a ^= a >> 29
	return a * 0xbf58476d1ce4e5b9
}
