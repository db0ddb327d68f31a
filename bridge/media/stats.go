package media

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// LegStats are a leg's figures.
type LegStats struct {
	PacketsIn, PacketsOut, BytesIn, BytesOut uint64
	Checks                                   uint64            // WebRTC: good STUN checks answered
	Drops                                    map[string]uint64 // by reason; nil: none
	Remote                                   netip.AddrPort
	SRTPProfile                              string
	ConnectedAt                              time.Time
	FirstRTP                                 time.Time
	Quality                                  []StreamQuality // as of a few seconds ago; of a closed leg to the end
}

// Stats are the engine's figures.
type Stats struct {
	Converters                         int // relays whose audio is converted
	Legs, Relays, PortsUsed, PortsFree int // PortsFree counts pairs of the range, draining ones included
	TCP                                int // connections of browsers
	PacketsIn, PacketsOut              uint64
	Drops                              map[string]uint64 // by reason
	Handoffs, Handshakes               uint64            // datagrams passed between workers; DTLS handshakes begun
	Moves                              uint64            // legs that changed their worker
	Conflicts                          uint64            // peers at one address, of which a shared RTP port could hear only one
	Ticks                              uint64            // times that a busy worker let packets collect
	Allocations                        int               // relayed addresses of TURN clients without a socket
	DetouredIn, DetouredOut            uint64            // packets that came from these and went to them, within the process
	HandshakeFailures                  map[string]uint64
}

// workerCounters are written by one worker, hardly by others, and read by anybody; padded, so that two workers' share no cache line.
type workerCounters struct {
	_          [64]byte
	packetsIn  atomic.Uint64
	packetsOut atomic.Uint64
	handoffs   atomic.Uint64
	ticks      atomic.Uint64
	detoured   [2]atomic.Uint64 // in from TURN clients, out to them
	drops      dropCounters
	_          [64]byte
}

// dropCounters count by reason.
type dropCounters [dropCount]atomic.Uint64

// dropped counts a packet of the leg's; the first allocates the counters.
func (c *legCounters) dropped(r DropReason) {
	if c.drops.Load() == nil {
		c.drops.CompareAndSwap(nil, new(dropCounters))
	}
	c.drops.Load()[r].Add(1)
}

// legCounters are written by the leg's worker and read by anybody.
type legCounters struct {
	packetsIn, packetsOut, bytesIn, bytesOut atomic.Uint64
	checks                                   atomic.Uint64
	firstRTP, connectedAt                    atomic.Int64 // Unix ns
	profile                                  atomic.Uint32
	digits                                   atomic.Int32 // waiting or playing; signalling counts up
	remote                                   atomic.Pointer[netip.AddrPort]
	drops                                    atomic.Pointer[dropCounters] // nil: none yet, as in most legs
	streams                                  [ratedStreams]figures
}

// engineCounters count what is rare.
type engineCounters struct {
	legs, relays      atomic.Int64
	converters        atomic.Int64
	handshakes, moves atomic.Uint64
	mismatches        atomic.Uint64
	profiles          atomic.Uint64
	others            atomic.Uint64
	conflicts         atomic.Uint64
}

func (c *engineCounters) failed(r Reason) {
	switch r {
	case FingerprintMismatch:
		c.mismatches.Add(1)
	case NoSRTPProfile:
		c.profiles.Add(1)
	default:
		c.others.Add(1)
	}
}

// received counts a packet of the leg's peer that is genuine.
func (l *Leg) received(w *worker, size int) {
	w.counters.packetsIn.Add(1)
	l.counters.packetsIn.Add(1)
	l.counters.bytesIn.Add(uint64(size))
}

// gotRTP notes the first RTP packet's time.
func (l *Leg) gotRTP(w *worker) {
	if l.counters.firstRTP.Load() == 0 {
		l.counters.firstRTP.Store(w.wall().UnixNano())
	}
}

// Stats may be called at any time.
func (l *Leg) Stats() LegStats {
	c := &l.counters
	s := LegStats{
		PacketsIn: c.packetsIn.Load(), PacketsOut: c.packetsOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Checks:      c.checks.Load(),
		SRTPProfile: profileName(uint16(c.profile.Load())),
		ConnectedAt: timeOf(c.connectedAt.Load()), FirstRTP: timeOf(c.firstRTP.Load()),
		Quality: c.qualities(),
	}
	if at := c.remote.Load(); at != nil {
		s.Remote = *at
	}
	if drops := c.drops.Load(); drops != nil {
		s.Drops = map[string]uint64{}
		addDrops(s.Drops, drops)
	}
	return s
}

// Stats may be called at any time.
func (e *Engine) Stats() Stats {
	s := Stats{
		Legs: int(e.counters.legs.Load()), Relays: int(e.counters.relays.Load()), Converters: int(e.counters.converters.Load()),
		Handshakes: e.counters.handshakes.Load(), Moves: e.counters.moves.Load(), Conflicts: e.counters.conflicts.Load(),
		Drops: map[string]uint64{}, HandshakeFailures: map[string]uint64{},
	}
	for _, p := range []*ports{e.ports, e.second} {
		if p != nil {
			used, free := p.counts()
			s.PortsUsed, s.PortsFree = s.PortsUsed+used, s.PortsFree+free
		}
	}
	s.TCP = e.door.size()
	s.Allocations = e.allocations.size()
	for _, w := range e.workers {
		s.PacketsIn += w.counters.packetsIn.Load()
		s.PacketsOut += w.counters.packetsOut.Load()
		s.Handoffs += w.counters.handoffs.Load()
		s.Ticks += w.counters.ticks.Load()
		s.DetouredIn += w.counters.detoured[0].Load()
		s.DetouredOut += w.counters.detoured[1].Load()
		addDrops(s.Drops, &w.counters.drops)
	}
	for reason, n := range map[Reason]uint64{
		FingerprintMismatch: e.counters.mismatches.Load(),
		NoSRTPProfile:       e.counters.profiles.Load(),
		HandshakeFailed:     e.counters.others.Load(),
	} {
		if n > 0 {
			s.HandshakeFailures[string(reason)] = n
		}
	}
	return s
}

func addDrops(to map[string]uint64, from *dropCounters) {
	for r := range from {
		if n := from[r].Load(); n > 0 {
			to[DropReason(r).String()] += n
		}
	}
}

func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
