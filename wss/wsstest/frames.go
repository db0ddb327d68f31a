package wsstest

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"strings"
)

// writeFragments writes one message as several frames (RFC 6455 §5.4), masked as a client must.
func writeFragments(w io.Writer, kind int, data []byte, size int) error {
	for first := true; first || len(data) > 0; first = false {
		n := min(size, len(data))
		opcode := byte(0)
		if first {
			opcode = byte(kind)
		}
		if n == len(data) {
			opcode |= 0x80
		}
		if _, err := w.Write(maskedFrame(opcode, data[:n])); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// maskedFrame is one client frame (RFC 6455 §5.2, §5.3).
func maskedFrame(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	frame = append(frame, key[:]...)
	for i, c := range payload {
		frame = append(frame, c^key[i%4])
	}
	return frame
}

// withoutLength strikes Content-Length, which RFC 7118 §5 lets a client do.
func withoutLength(text string) string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	var kept []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if !strings.HasPrefix(strings.ToLower(line), "content-length") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\r\n") + "\r\n\r\n" + body
}
