package guard

import "sync/atomic"

// Refusal is why somebody was not let in.
type Refusal int

const (
	ConnectionRate Refusal = iota // connections of an address
	HandshakeRate                 // WebSocket handshakes of an address
	RequestRate                   // requests of a connection
	refusals
)

// String is the refusal's name in metrics.
func (r Refusal) String() string { return refusalNames[r] }

var refusalNames = [refusals]string{"connection-rate", "handshake-rate", "request-rate"}

// Stats is a snapshot of a Guard's figures.
type Stats struct {
	Refused map[string]uint64 // by Refusal; every one is present
}

type counts struct {
	refused [refusals]atomic.Uint64
}

// Stats may be called at any time.
func (g *Guard) Stats() Stats {
	s := Stats{Refused: make(map[string]uint64, refusals)}
	for r := range refusals {
		s.Refused[r.String()] = g.counts.refused[r].Load()
	}
	return s
}
