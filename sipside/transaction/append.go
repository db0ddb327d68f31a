package transaction

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Append writes the message's wire form behind dst; requestURI replaces the Recipient of a request where not empty.
// Content-Length is always there, last, and right, whatever the message says.
func Append(dst []byte, msg Message) []byte {
	w := writer{dst}
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
		w.WriteString(" SIP/2.0\r\n")
		headers = m.Headers()
	case *sip.Response:
		w.WriteString("SIP/2.0 ")
		w.data = strconv.AppendInt(w.data, int64(m.StatusCode), 10)
		w.WriteString(" ")
		w.WriteString(m.Reason)
		w.WriteString("\r\n")
		headers = m.Headers()
	}
	for _, h := range headers {
		if strings.EqualFold(h.Name(), "Content-Length") {
			continue
		}
		h.StringWrite(&w)
		w.WriteString("\r\n")
	}
	w.WriteString("Content-Length: ")
	w.data = strconv.AppendInt(w.data, int64(len(msg.Body())), 10)
	w.WriteString("\r\n\r\n")
	return append(w.data, msg.Body()...)
}

// writer appends to a slice; sipgo writes into an io.StringWriter.
type writer struct{ data []byte }

func (w *writer) WriteString(s string) (int, error) {
	w.data = append(w.data, s...)
	return len(s), nil
}
