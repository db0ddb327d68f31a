// Package sipside is the SIP world's door: endpoints (UDP, TCP, TLS), backends, pools, probes.
//
// Endpoints own the sockets. A Pool orders its Backends; a Backend sends requests by the next hop rule of RFC 3261 and
// meets the bridge's peer. What comes in from a backend goes through the transaction layer to the Handler; what comes
// from anybody else is silently dropped on UDP, and its connection closed at once on TCP and TLS.
package sipside

import (
	"net/netip"

	"tandem/sipside/transaction"
)

// Handler serves the backends; it must not block, unless a goroutine is lent to it (transaction.Server.Lent).
type Handler interface {
	// ServeBackend gets each new request of a pool member or trunk, CANCEL and the ACK of a 2xx included.
	ServeBackend(b *Backend, tx *transaction.Server)
	// BackendDown is told of a member or trunk that probes have just found dead.
	BackendDown(b *Backend)
}

// Guard is told of those who are no backend. Safe for concurrent use; it must not block nor keep data.
type Guard interface {
	// Stranger is told of a datagram or, with no data, of a connection that is about to be closed. It says whether to answer a
	// datagram's request with 403 rather than with silence.
	Stranger(from netip.AddrPort, transport string, data []byte) (answer bool)
}

// silent is the absence of a Guard.
type silent struct{}

// Stranger implements Guard.
func (silent) Stranger(netip.AddrPort, string, []byte) bool { return false }
