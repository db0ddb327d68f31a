package turn

import "sync/atomic"

// Why something was refused: the keys of Stats.Refused.
const (
	RefusedUser      = "unknown-user"
	RefusedForged    = "forged"  // not signed by the password
	RefusedExpired   = "expired" // the credential's time is over
	RefusedQuota     = "user-quota"
	RefusedTotal     = "total-quota"
	RefusedRate      = "rate"
	RefusedPeer      = "peer"          // a permission or channel for an address or port that is not open
	RefusedPacket    = "packet"        // to or from an address or port that is not open, behind a permission
	RefusedBandwidth = "bandwidth"     // packets
	RefusedSocket    = "socket"        // no relay address of that family, no port, or another transport than UDP
	RefusedEnding    = "ending"        // a permission for an allocation that ends just now, or has
	RefusedMismatch  = "no-allocation" // a request about an allocation that is not there, or another user's
	RefusedBusy      = "connections"
	RefusedBanned    = "banned" // by the guard: messages, and connections, of which there may also have been too many
)

// Stats is a snapshot of what a server did.
type Stats struct {
	Allocations int               // that run
	Opened      uint64            // allocations ever
	Connections int               // TCP and TLS connections of clients
	PacketsOut  uint64            // relayed to peers
	BytesOut    uint64            // their payload
	PacketsIn   uint64            // relayed from peers
	BytesIn     uint64            //
	Refused     map[string]uint64 // by reason
}

type counters struct {
	opened      atomic.Uint64
	connections atomic.Int64
	packets     [2]atomic.Uint64          // out, in
	bytes       [2]atomic.Uint64          //
	refused     map[string]*atomic.Uint64 // the keys never change
}

func newCounters() *counters {
	c := &counters{refused: make(map[string]*atomic.Uint64)}
	for _, reason := range []string{RefusedUser, RefusedForged, RefusedExpired, RefusedQuota, RefusedTotal, RefusedRate, RefusedPeer,
		RefusedPacket, RefusedBandwidth, RefusedSocket, RefusedEnding, RefusedMismatch, RefusedBusy, RefusedBanned} {
		c.refused[reason] = new(atomic.Uint64)
	}
	return c
}

func (c *counters) refuse(reason string) { c.refused[reason].Add(1) }

// Stats gives the figures as they are now. Safe for concurrent use.
func (s *Server) Stats() Stats {
	c := s.count
	out := Stats{
		Allocations: s.ledger.running(), Opened: c.opened.Load(), Connections: int(c.connections.Load()),
		PacketsOut: c.packets[0].Load(), BytesOut: c.bytes[0].Load(), PacketsIn: c.packets[1].Load(), BytesIn: c.bytes[1].Load(),
		Refused: make(map[string]uint64, len(c.refused)),
	}
	for reason, n := range c.refused {
		out.Refused[reason] = n.Load()
	}
	return out
}

// UserStats is what one user has open.
type UserStats struct {
	Allocations int
	Packets     uint64 // relayed by these allocations, in both directions
	Bytes       uint64 // their payload
}

// Users gives the users that have allocations. Safe for concurrent use.
func (s *Server) Users() map[string]UserStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]UserStats)
	for r := range s.relays {
		u := out[r.user]
		u.Allocations++
		u.Packets += r.packets.Load()
		u.Bytes += r.bytes.Load()
		out[r.user] = u
	}
	return out
}

func (s *Server) enter(r *relay) {
	s.count.opened.Add(1)
	s.mu.Lock()
	s.relays[r] = struct{}{}
	s.mu.Unlock()
}

func (s *Server) leave(r *relay) {
	s.mu.Lock()
	delete(s.relays, r)
	s.mu.Unlock()
}
