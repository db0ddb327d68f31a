package wsstest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// ladder is what crossed the WebSocket, and what was wrong with it.
type ladder struct {
	start  time.Time
	rungs  []rung
	faults []string
}

type rung struct {
	at   time.Duration
	what string
	sent bool
	odd  bool // a fault, not a message
}

func (l *ladder) add(what string, sent bool) {
	l.rungs = append(l.rungs, rung{at: time.Since(l.start), what: what, sent: sent})
}

func (l *ladder) String() string {
	var out strings.Builder
	out.WriteString("       browser                                    gateway\n")
	for _, r := range l.rungs {
		arrow := "◀──"
		switch {
		case r.odd:
			arrow = "  !"
		case r.sent:
			arrow = "──▶"
		}
		fmt.Fprintf(&out, "%9.1f ms %s %s\n", float64(r.at.Microseconds())/1000, arrow, r.what)
	}
	return out.String()
}

// Ladder is everything that crossed the WebSocket, drawn.
func (b *Browser) Ladder() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ladder.String()
}

// Faults is what JsSIP or SIP.js would have dropped, refused or stumbled over; empty after a good test.
func (b *Browser) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.ladder.faults...)
}

func (b *Browser) note(what string, sent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ladder.add(what, sent)
}

func (b *Browser) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ladder.faults = append(b.ladder.faults, text)
	b.ladder.rungs = append(b.ladder.rungs, rung{at: time.Since(b.ladder.start), what: "FAULT " + text, odd: true})
}

// describe is a message on one line.
func describe(msg sip.Message) string {
	var out strings.Builder
	switch m := msg.(type) {
	case *sip.Request:
		fmt.Fprintf(&out, "%s %s", m.Method, m.Recipient.String())
	case *sip.Response:
		fmt.Fprintf(&out, "%d %s", m.StatusCode, m.Reason)
	}
	if cseq := msg.CSeq(); cseq != nil {
		fmt.Fprintf(&out, "  (%d %s", cseq.SeqNo, cseq.MethodName)
		if id := msg.CallID(); id != nil {
			fmt.Fprintf(&out, ", %.8s", string(*id))
		}
		out.WriteByte(')')
	}
	if len(msg.Body()) > 0 {
		fmt.Fprintf(&out, " +%d bytes", len(msg.Body()))
	}
	return out.String()
}

func firstLine(data []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimLeft(data, "\r\n"), []byte("\r\n"))
	return fmt.Sprintf("%.100s", line)
}
