package transaction

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Append writes the message's wire form behind dst; requestURI replaces the Recipient of a request where not empty.
// Content-Length is always there, last, and right, and each header is one line, whatever the message says: a line end within what
// somebody said would begin a header of his own.
func Append(dst []byte, msg Message) []byte {
	w := writer{dst}
	start := len(dst)
	var headers []sip.Header
	switch m := msg.Message.(type) {
	case *sip.Request:
		w.WriteString(string(m.Method))
		w.WriteString(" ")
		if msg.RequestURI != "" {
			w.WriteString(msg.RequestURI)
		} else {
			m.Recipient.StringWrite(&w)
		}
		w.WriteString(" SIP/2.0")
		headers = m.Headers()
	case *sip.Response:
		w.WriteString("SIP/2.0 ")
		w.data = strconv.AppendInt(w.data, int64(m.StatusCode), 10)
		w.WriteString(" ")
		w.WriteString(m.Reason)
		headers = m.Headers()
	}
	w.endLine(start)
	for _, h := range headers {
		if strings.EqualFold(h.Name(), "Content-Length") {
			continue
		}
		start = len(w.data)
		h.StringWrite(&w)
		w.endLine(start)
	}
	w.WriteString("Content-Length: ")
	w.data = strconv.AppendInt(w.data, int64(len(msg.Body())), 10)
	w.WriteString("\r\n\r\n")
	return append(w.data, msg.Body()...)
}

// writer appends to a slice; sipgo writes into an io.StringWriter.
type writer struct{ data []byte }

// endLine ends the line that begins at start, which is one then.
func (w *writer) endLine(start int) {
	line := w.data[start:]
	if bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		for i, c := range line {
			if c == '\n' || c == '\r' || c == 0 && (i == 0 || line[i-1] != '\\') { // as checkHead has it
				line[i] = ' '
			}
		}
	}
	w.data = append(w.data, '\r', '\n')
}

func (w *writer) WriteString(s string) (int, error) {
	w.data = append(w.data, s...)
	return len(s), nil
}
