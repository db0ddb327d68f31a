// Package guard says who may come in, and how often: limits by connection, identity and address, bans, and what gives scanners
// away. It knows none of the doors; each asks it through a small interface of its own, which the gateway wires.
//
// Who has an identity or a connection is counted by it, so that an office behind one address is not shut out by one phone. By
// address is counted what has neither. An address is an IPv4 address or an IPv6 /64 network.
package guard

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
)

// Config is what a Guard works with; zero limits limit nothing.
type Config struct {
	Connections Limit // connections, TLS handshakes with them, of one address
	Handshakes  Limit // WebSocket handshakes of one address
	Requests    Limit // requests of one connection
	Allow       []netip.Prefix
}

// Guard decides. Safe for concurrent use; deciding takes no lock and allocates nothing.
type Guard struct {
	// static after construction
	seed    maphash.Seed
	now     func() time.Time
	log     *slog.Logger
	friend  func(netip.Addr) bool
	clients *slots // by address and what is counted
	counts  counts

	cfg atomic.Pointer[Config]
}

// Options are what a Guard gets beside its configuration; all may be left out.
type Options struct {
	Friend func(netip.Addr) bool // who is never limited nor banned: members of pools, and trunks
	Now    func() time.Time
	Log    *slog.Logger
}

// clientSlots bounds the addresses whose rates are known; each has a bucket for every kind of limit that it meets.
const clientSlots = 1 << 16

// New makes a Guard.
func New(cfg Config, o Options) *Guard {
	g := &Guard{
		seed: maphash.MakeSeed(), now: o.Now, log: o.Log, friend: o.Friend, clients: newSlots(clientSlots),
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
	g.Reload(cfg)
	return g
}

// Reload takes another configuration; what was counted stays.
func (g *Guard) Reload(cfg Config) { g.cfg.Store(&cfg) }

// Connection says whether an address may connect, before anything is read of it.
func (g *Guard) Connection(from netip.Addr) bool {
	cfg := g.cfg.Load()
	return g.within(cfg, cfg.Connections, ConnectionRate, from)
}

// within counts one more of what a limit bounds by address.
func (g *Guard) within(cfg *Config, l Limit, kind Refusal, from netip.Addr) bool {
	if l.Rate == 0 || cfg.allows(from) || g.friend(from) {
		return true
	}
	if !l.take(g.clients.claim(g.key(from, uint64(kind))), g.now().UnixNano()) {
		g.counts.refused[kind].Add(1)
		return false
	}
	return true
}

// allows says whether an address is on the list of those who are never limited nor banned.
func (c *Config) allows(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	for _, p := range c.Allow {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// source is the address that somebody is known by: with IPv6 the /64 network, for one host has all of it.
func source(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		bytes := a.As16()
		clear(bytes[8:])
		return netip.AddrFrom16(bytes)
	}
	return a
}

// key is a number for an address and what it is counted for, that nobody outside can aim at.
func (g *Guard) key(from netip.Addr, of uint64) uint64 {
	bytes := source(from).As16()
	return maphash.Bytes(g.seed, bytes[:]) ^ of*0x9e3779b97f4a7c15
}
