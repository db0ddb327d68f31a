package guard

import "sync/atomic"

// Refusal is why somebody was not let in.
type Refusal int

const (
	ConnectionRate Refusal = iota // connections of an address
	HandshakeRate                 // WebSocket handshakes of an address
	RequestRate                   // requests of a connection
	UnprovenRate                  // requests of an address that proved no identity
	IdentityRate                  // requests of an identity
	BannedAddress
	BannedIdentity // at its address
	Scanner
	Strange // neither member nor trunk
	refusals
)

// String is the refusal's name in metrics.
func (r Refusal) String() string { return refusalNames[r] }

var refusalNames = [refusals]string{
	"connection-rate", "handshake-rate", "request-rate", "unproven-rate", "identity-rate", "banned-address", "banned-identity", "scanner", "stranger",
}

var causes = []Cause{Guessing, Sweeping, Scanning, ByHand}

// Stats is a snapshot of a Guard's figures.
type Stats struct {
	Refused  map[string]uint64 // by Refusal; every one is present
	Failures uint64            // wrong credentials
	Bans     int               // that hold
	Banned   map[string]uint64 // ever, by Cause
	Unsaid   uint64            // log lines that were left out, for there were too many
}

type counts struct {
	refused  [refusals]atomic.Uint64
	banned   [4]atomic.Uint64 // as causes
	failures atomic.Uint64
	unsaid   atomic.Uint64
}

func (c *counts) refuse(why Refusal) { c.refused[why].Add(1) }

func (c *counts) ban(why Cause) {
	for i, known := range causes {
		if known == why {
			c.banned[i].Add(1)
		}
	}
}

// Stats may be called at any time.
func (g *Guard) Stats() Stats {
	s := Stats{
		Refused: make(map[string]uint64, refusals), Banned: make(map[string]uint64, len(causes)),
		Failures: g.counts.failures.Load(), Bans: len(g.Bans()), Unsaid: g.counts.unsaid.Load(),
	}
	for r := range refusals {
		s.Refused[r.String()] = g.counts.refused[r].Load()
	}
	for i, why := range causes {
		s.Banned[string(why)] = g.counts.banned[i].Load()
	}
	return s
}
