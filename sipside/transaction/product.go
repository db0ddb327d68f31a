package transaction

import (
	"bytes"
	"slices"

	"github.com/emiago/sipgo/sip"
)

// AppendNamed is Append, with what the gateway says that it is: in User-Agent of a request, in Server of a response (RFC 3261 §20.41,
// §20.35), unless the message says that itself. "" is said of nobody.
func AppendNamed(buf []byte, msg Message, product string) []byte {
	begin := len(buf)
	buf = Append(buf, msg)
	name, said := "User-Agent", false
	switch m := msg.Message.(type) {
	case *sip.Request:
		said = First(m, name) != nil
	case *sip.Response:
		name = "Server"
		said = First(m, name) != nil
	}
	if product == "" || said {
		return buf
	}
	end := bytes.Index(buf[begin:], []byte("\r\n\r\n"))
	if end < 0 {
		return buf
	}
	return slices.Insert(buf, begin+end+2, []byte(name+": "+product+"\r\n")...)
}
