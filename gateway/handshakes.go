package gateway

import (
	"errors"
	"net/netip"
	"runtime"
	"time"
)

// handshakePatience is how long a TLS handshake waits for its turn; browsers give up about then, too.
const handshakePatience = headerTimeout

var errBusy = errors.New("gateway: too many TLS handshakes at once")

// handshakes bounds how many TLS handshakes of strangers compute at a time: half of the processors are left to the calls, whoever
// begins handshakes at any rate. An address from which somebody proved himself lately does not wait. Safe for concurrent use.
type handshakes struct {
	turns chan struct{}
	known func(netip.Addr) bool
}

func newHandshakes(known func(netip.Addr) bool) *handshakes {
	return &handshakes{turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), known: known}
}

// handshakeTurn is one that goes on: it has its turn while it computes, and none while it waits for what the client says. One goroutine
// has it.
type handshakeTurn struct {
	of    *handshakes
	holds bool
}

// begin takes a turn to compute.
func (h *handshakeTurn) begin(client netip.Addr) error {
	if h.holds || client.IsValid() && h.of.known(client) {
		return nil
	}
	select {
	case h.of.turns <- struct{}{}:
		h.holds = true
		return nil
	default:
	}
	patience := time.NewTimer(handshakePatience)
	defer patience.Stop()
	select {
	case h.of.turns <- struct{}{}:
		h.holds = true
		return nil
	case <-patience.C:
		return errBusy
	}
}

// end gives the turn back. Safe to call twice.
func (h *handshakeTurn) end() {
	if h.holds {
		h.holds = false
		<-h.of.turns
	}
}
