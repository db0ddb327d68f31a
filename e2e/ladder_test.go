package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/sipside/transaction"
)

// ladder collects what crossed both doors.
type ladder struct {
	mu    sync.Mutex
	start time.Time
	lines []string
	again map[string]bool // messages that crossed already, with their direction
	once  []string        // the lines of what crossed for the first time
	leaks []string        // what browsers were told of the backends, and the trunk of the browsers, by hiding
	trunk string          // ADDRESS: of the trunk from which browsers are hidden
	rings *earlyDialog    // the dialog that rang last
}

// hiding fails the test where a browser was told a backend's address or what software it runs. A challenge's realm is the backend's own.
func (s *site) hiding(t testing.TB) {
	t.Cleanup(func() {
		s.ladder.mu.Lock()
		defer s.ladder.mu.Unlock()
		for _, leak := range s.ladder.leaks {
			t.Errorf("a leak: %s", leak)
		}
	})
}

// hidingFrom is hiding, and fails the test, too, where a trunk was told of a browser's network or software.
func (s *site) hidingFrom(t testing.TB, trunk string) {
	s.ladder.mu.Lock()
	s.ladder.trunk = trunk + ":"
	s.ladder.mu.Unlock()
	s.hiding(t)
}

// search notes the lines of a message to a browser that name a backend, and of one to the trunk that name a browser, but those that a
// response repeats from its request.
func (l *ladder) search(m transaction.Traced) {
	words := []string{"127.0.0.10", "127.0.0.30", "sterisk"}
	switch {
	case !m.Sent:
		return
	case l.trunk != "" && strings.HasPrefix(m.Remote, l.trunk):
		words = []string{"JsSIP", "=ws", "127.0.0.1;", "127.0.0.1:", "candidate", "ice-ufrag", "fingerprint", ".local"}
	case !strings.HasPrefix(m.Transport, "WS"):
		return
	}
	response := bytes.HasPrefix(m.Data, []byte("SIP/2.0 "))
	for line := range strings.SplitSeq(string(m.Data), "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch {
		case strings.HasSuffix(name, "-Authenticate"), response && (name == "Via" || name == "From" || name == "To"):
			continue
		}
		for _, word := range words {
			if strings.Contains(line, word) && len(l.leaks) < 10 {
				l.leaks = append(l.leaks, fmt.Sprintf("%q in %q", word, m.Data))
			}
		}
	}
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
	l.search(m)
	l.listen(m)
	if l.start.IsZero() {
		l.start = m.At
	}
	if l.again == nil {
		l.again = map[string]bool{}
	}
	line := fmt.Sprintf("%8.3f %-4s %-21s %s %-21s %s  [%s]", m.At.Sub(l.start).Seconds(), m.Transport, m.Local, arrow, m.Remote, what, m.CallID)
	l.lines = append(l.lines, line)
	if key := arrow + m.Remote + string(m.Data); !l.again[key] {
		l.again[key] = true
		l.once = append(l.once, line)
	}
}

func (l *ladder) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start, l.lines, l.again, l.once, l.rings = time.Time{}, nil, nil, nil, nil
}

// count counts the lines with a text; who is busy repeats a message, which counts once.
func (l *ladder) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.once {
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
