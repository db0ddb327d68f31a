package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"tandem/sipside/transaction"
)

// ladder collects what crossed both doors.
type ladder struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func (l *ladder) add(m transaction.Traced) {
	first, rest, _ := bytes.Cut(m.Data, []byte("\r\n"))
	what := string(first)
	if bytes.Contains(rest, []byte("m=audio")) {
		what += " (SDP)"
	}
	arrow := "<-"
	if m.Sent {
		arrow = "->"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.start.IsZero() {
		l.start = m.At
	}
	l.lines = append(l.lines, fmt.Sprintf("%8.3f %-4s %-21s %s %-21s %s  [%s]",
		m.At.Sub(l.start).Seconds(), m.Transport, m.Local, arrow, m.Remote, what, m.CallID))
}

func (l *ladder) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start, l.lines = time.Time{}, nil
}

// count counts the lines with a text.
func (l *ladder) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *ladder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// testLog keeps the gateway's log for a failing test.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
