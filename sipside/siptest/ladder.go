package siptest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"tandem/sipside/transaction"
)

// maxRungs bounds a ladder: the oldest rungs go.
const maxRungs = 2000

// ladder keeps what crossed an endpoint.
type ladder struct {
	start time.Time

	mu sync.Mutex
	// guarded by mu
	rungs []string
}

func (l *ladder) trace(m transaction.Traced) {
	first, _, _ := strings.Cut(string(m.Data), "\r\n")
	arrow := "◀──"
	if m.Sent {
		arrow = "──▶"
	}
	rung := fmt.Sprintf("%9.1f ms %s %s %-21s %s", float64(m.At.Sub(l.start).Microseconds())/1000, arrow, m.Transport, m.Remote, first)
	if strings.HasPrefix(first, "SIP/2.0") {
		rung += " (" + headerValue(m.Data, "cseq") + ")"
	}
	if strings.Contains(headerValue(m.Data, "content-type", "c"), "sdp") {
		rung += " +SDP"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rungs) == maxRungs {
		l.rungs = l.rungs[1:]
	}
	l.rungs = append(l.rungs, rung)
}

func (l *ladder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.rungs, "\n") + "\n"
}
