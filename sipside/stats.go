package sipside

import (
	"time"

	"tandem/sipside/transaction"
)

// Stats is a snapshot of the door's figures.
type Stats struct {
	MessagesIn, MessagesOut uint64
	Rejected                uint64 // malformed messages and streams of backends
	Strangers               uint64 // datagrams, connections and requests of sources that are no backend
	Connections             int    // TCP and TLS, both directions, those being dialled included
	Backends                []BackendStats
	Transactions            transaction.Stats
}

// BackendStats is one backend's figures.
type BackendStats struct {
	Name, Pool      string
	State           string // see Backend.State
	Alive           bool
	Reason          string        // why it is not alive
	Latency         time.Duration // of answered probes, moving average
	Calls           int           // that have a leg there
	Weight          int
	Priority        int
	Requests, Fails uint64 // probes not counted; Fails: timeouts and lost flows
	Registers       bool   // a binding of ours is to be kept there
	Registered      bool   // it is there
	RegisterStatus  int    // of the last final response to a REGISTER; 0: none came
}

// Stats may be called at any time.
func (e *Endpoints) Stats() Stats {
	s := Stats{
		MessagesIn: e.messagesIn.Load(), MessagesOut: e.messagesOut.Load(),
		Rejected: e.rejected.Load(), Strangers: e.strangers.Load(),
		Connections:  e.connections.count(),
		Transactions: e.layer.Stats(),
	}
	d := e.members.Load()
	for _, b := range d.backends {
		if d.byName[b.name] == b { // not one whose name another has now
			s.Backends = append(s.Backends, b.stats())
		}
	}
	return s
}
