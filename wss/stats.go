package wss

import (
	"sync"
	"sync/atomic"

	"tandem/sipside/transaction"
)

// Refusal is why a handshake was refused; a key of Stats.Refused.
type Refusal string

const (
	RefusedUpgrade     Refusal = "no-upgrade"  // not a WebSocket handshake, or a broken one
	RefusedSubprotocol Refusal = "subprotocol" // "sip" is not among those offered
	RefusedOrigin      Refusal = "origin"      // not on the list
	RefusedNoOrigin    Refusal = "no-origin"   // none, where one is required
	RefusedToken       Refusal = "token"       // Config.Authenticate refused it
	RefusedRate        Refusal = "rate"        // Config.Guard lets no more of its address in
	RefusedFull        Refusal = "full"        // Config.Crowd has no room
	RefusedAddress     Refusal = "address"     // Config.Crowd has no room for that address
	RefusedShutdown    Refusal = "shutdown"
)

// Closing is why a connection ended; a key of Stats.Closed.
type Closing string

const (
	ClosedByPeer       Closing = "peer"         // a close frame of the browser
	ClosedLost         Closing = "lost"         // the TCP connection went without one
	ClosedNoPong       Closing = "no-pong"      // nothing answered our pings
	ClosedSlow         Closing = "slow"         // the browser did not read what we wrote
	ClosedTooBig       Closing = "too-big"      // a message beyond MaxMessage (1009)
	ClosedProtocol     Closing = "protocol"     // broken WebSocket framing (1002)
	ClosedMalformed    Closing = "malformed"    // too many malformed SIP messages in a row (1008)
	ClosedGuard        Closing = "guard"        // Config.Guard wants no more of it (1008)
	ClosedRate         Closing = "rate"         // more messages than MaxRate (1008)
	ClosedUser         Closing = "user"         // more connections of a user than PerUser (1008)
	ClosedUnregistered Closing = "unregistered" // nobody registered in time (1008)
	ClosedPanic        Closing = "panic"        // the handler panicked (1011)
	ClosedByGateway    Closing = "gateway"      // Conn.Close
	ClosedShutdown     Closing = "shutdown"     // Server.Shutdown (1001)
)

// Stats is a snapshot of the door's figures.
type Stats struct {
	Connections                       int
	Accepted                          uint64
	Refused                           map[string]uint64 // by reason, see Refusal; every reason is present
	MessagesIn, MessagesOut, Rejected uint64            // SIP messages; Rejected: malformed ones, of MessagesIn
	Keepalives                        uint64            // CRLF keepalives of browsers
	Panics                            uint64            // of the handler, recovered
	Closed                            map[string]uint64 // by reason, see Closing; every reason is present
	Transactions                      transaction.Stats
}

// Stats may be called at any time.
func (s *Server) Stats() Stats {
	st := Stats{
		Connections:  s.flows.len(),
		Accepted:     s.counts.accepted.Load(),
		MessagesIn:   s.counts.in.Load(),
		MessagesOut:  s.counts.out.Load(),
		Rejected:     s.counts.rejected.Load(),
		Keepalives:   s.counts.keepalives.Load(),
		Panics:       s.counts.panics.Load(),
		Refused:      make(map[string]uint64),
		Closed:       make(map[string]uint64),
		Transactions: s.layer.Stats(),
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for reason, n := range s.counts.refusals {
		st.Refused[string(reason)] = n
	}
	for reason, n := range s.counts.closings {
		st.Closed[string(reason)] = n
	}
	return st
}

// counts are the door's counters.
type counts struct {
	accepted, in, out, rejected, keepalives, panics atomic.Uint64

	mu sync.Mutex
	// guarded by mu
	refusals map[Refusal]uint64
	closings map[Closing]uint64
}

func newCounts() counts {
	return counts{
		refusals: map[Refusal]uint64{RefusedUpgrade: 0, RefusedSubprotocol: 0, RefusedOrigin: 0, RefusedNoOrigin: 0,
			RefusedToken: 0, RefusedRate: 0, RefusedFull: 0, RefusedAddress: 0, RefusedShutdown: 0},
		closings: map[Closing]uint64{ClosedByPeer: 0, ClosedLost: 0, ClosedNoPong: 0, ClosedSlow: 0, ClosedTooBig: 0,
			ClosedProtocol: 0, ClosedMalformed: 0, ClosedGuard: 0, ClosedRate: 0, ClosedUser: 0, ClosedUnregistered: 0, ClosedPanic: 0, ClosedByGateway: 0, ClosedShutdown: 0},
	}
}

func (n *counts) refused(why Refusal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusals[why]++
}

func (n *counts) closed(why Closing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closings[why]++
}
