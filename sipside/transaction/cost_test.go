package transaction

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// hostile are messages that are as large as may be, made of what a parser could go wrong about again and again.
func hostile() map[string]string {
	const head = "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n" +
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
	fill := func(before, again, behind string) string {
		n := (maxHead - len(head) - len(before) - len(behind) - 16) / len(again)
		return head + before + strings.Repeat(again, n) + behind + "\r\n\r\n"
	}
	return map[string]string{
		"headers":              fill("X: y", "\r\nX:y", ""),
		"headers without name": fill("X: y", "\r\n:", ""),
		"folded lines":         fill("X: y", "\r\n z", ""),
		"one long line":        fill("X: ", "y", ""),
		"commas in Contact":    fill("Contact: ", ",", ""),
		"Contacts":             fill("Contact: ", "<sip:a>,", "<sip:a>"),
		"Vias":                 fill("Via: ", "SIP/2.0/UDP a,", "SIP/2.0/UDP a"),
		"Routes":               fill("Route: ", "<sip:a>,", "<sip:a>"),
		"params":               fill("Contact: <sip:a>", ";a", ""),
		"uri params":           fill("Contact: <sip:a", ";a", ">"),
		"uri headers":          fill("Contact: <sip:a?b", "&b", ">"),
		"quotes":               fill("Contact: ", `"`, ""),
		"quoted pairs":         fill(`Contact: "`, `\"`, ""),
		"open brackets":        fill("Contact: ", "<", ""),
		"quoted commas":        fill(`Contact: "a"`, `,"`, ""),
		"colons in an address": fill("Contact: <sip:[", ":", "]>"),
		"Require":              fill("Require: a", ",a", ""),
		"Accept":               fill("Accept: a", ",a", ""),
		"Content-Encoding":     fill("Content-Encoding: a", ",a", ""),
	}
}

// Whatever a message of 32 kB is made of, work and memory for it are in proportion: nothing in it is copied again and again.
func TestHostileMessagesAreCheap(t *testing.T) {
	for name, text := range hostile() {
		data := []byte(text)
		if len(data) > maxHead {
			t.Fatalf("%s: %d bytes are refused unread", name, len(data))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Parse(data)
		runtime.ReadMemStats(&after)
		if bytes, objects := after.TotalAlloc-before.TotalAlloc, after.Mallocs-before.Mallocs; bytes > 40*maxHead || objects > 3000 {
			t.Errorf("%s: %d bytes in %d objects", name, bytes, objects)
		}
	}
}

// TestTooMany is refused with the status that says so, whichever part there is too much of.
func TestTooMany(t *testing.T) {
	for name, want := range map[string]string{
		"headers": "Too Many Headers", "Contacts": "Too Many Headers", "Vias": "Too Many Headers", "params": "Malformed Contact", "uri params": "Malformed Contact",
	} {
		var wrong *ParseError
		msg, err := Parse([]byte(hostile()[name]))
		if !errors.As(err, &wrong) || wrong.Reason != want || wrong.Status != 400 || msg.Message == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var wrong *ParseError
	if _, err := Parse([]byte("OPTIONS sip:x SIP/2.0\r\nX: " + strings.Repeat("y", maxHead) + "\r\n\r\n")); !errors.As(err, &wrong) || wrong.Status != 513 {
		t.Error(err)
	}
}
