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
	start := len(dst)
	var headers []sip.Header
	switch m := msg.Message.(type) {
	case *sip.Request:
		dst = append(append(dst, m.Method...), ' ')
		if msg.RequestURI != "" {
			dst = append(dst, msg.RequestURI...)
		} else {
			dst = appendURI(dst, &m.Recipient)
		}
		dst = append(dst, " SIP/2.0"...)
		headers = m.Headers()
	case *sip.Response:
		dst = strconv.AppendInt(append(dst, "SIP/2.0 "...), int64(m.StatusCode), 10)
		dst = append(append(dst, ' '), m.Reason...)
		headers = m.Headers()
	}
	dst = endLine(dst, start)
	if msg.Top != nil {
		start = len(dst)
		dst = endLine(appendHeader(dst, msg.Top), start)
	}
	for _, h := range headers {
		if fieldOf(h.Name()) == contentLength {
			continue
		}
		start = len(dst)
		dst = endLine(appendHeader(dst, h), start)
	}
	dst = strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(msg.Body())), 10)
	return append(append(dst, "\r\n\r\n"...), msg.Body()...)
}

// endLine ends the line that begins at start, which is one then.
func endLine(dst []byte, start int) []byte {
	line := dst[start:]
	if bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		for i, c := range line {
			if c == '\n' || c == '\r' || c == 0 && (i == 0 || line[i-1] != '\\') { // as checkHead has it
				line[i] = ' '
			}
		}
	}
	return append(dst, '\r', '\n')
}

// appendHeader writes a header as sipgo does; what sipgo makes strings of for that is written here.
func appendHeader(dst []byte, h sip.Header) []byte {
	dst = append(append(dst, h.Name()...), ": "...)
	switch h := h.(type) {
	case *sip.ViaHeader:
		return appendVia(dst, h)
	case *sip.FromHeader:
		return (*address)(h).append(dst)
	case *sip.ToHeader:
		return (*address)(h).append(dst)
	case *sip.ContactHeader:
		if h.Address.Wildcard {
			return append(dst, '*')
		}
		return (*address)(h).append(dst)
	case *sip.ReferredByHeader:
		return (*address)(h).append(dst)
	case *sip.RouteHeader:
		return appendBracketed(dst, &h.Address)
	case *sip.RecordRouteHeader:
		return appendBracketed(dst, &h.Address)
	case *sip.ReferToHeader:
		return appendBracketed(dst, &h.Address)
	case *sip.CSeqHeader:
		dst = strconv.AppendUint(dst, uint64(h.SeqNo), 10)
		return append(append(dst, ' '), h.MethodName...)
	}
	return append(dst, h.Value()...)
}

func appendVia(dst []byte, v *sip.ViaHeader) []byte {
	dst = append(append(dst, v.ProtocolName...), '/')
	dst = append(append(dst, v.ProtocolVersion...), '/')
	dst = append(append(dst, v.Transport...), ' ')
	return appendParams(appendHostPort(dst, v.Host, v.Port), v.Params, ';', ';')
}

func (a *address) append(dst []byte) []byte {
	if a.DisplayName != "" {
		dst = append(append(append(dst, '"'), a.DisplayName...), `" `...)
	}
	return appendParams(appendBracketed(dst, &a.Address), a.Params, ';', ';')
}

func appendBracketed(dst []byte, uri *sip.Uri) []byte {
	return append(appendURI(append(dst, '<'), uri), '>')
}

func appendURI(dst []byte, uri *sip.Uri) []byte {
	scheme := uri.Scheme
	if scheme == "" {
		scheme = "sip"
	}
	dst = append(append(dst, scheme...), ':')
	if raw := uri.Raw(); raw != "" {
		return append(dst, raw...)
	}
	if uri.HierarhicalSlashes {
		dst = append(dst, "//"...)
	}
	if uri.User != "" {
		dst = append(dst, uri.User...)
		if uri.Password != "" {
			dst = append(append(dst, ':'), uri.Password...)
		}
		dst = append(dst, '@')
	}
	dst = appendHostPort(dst, uri.Host, uri.Port)
	dst = appendParams(dst, uri.UriParams, ';', ';')
	return appendParams(dst, uri.Headers, '?', '&')
}

// appendHostPort puts an IPv6 address into brackets, and leaves out a port of 0.
func appendHostPort(dst []byte, host string, port int) []byte {
	if strings.Contains(host, ":") && host[0] != '[' {
		dst = append(append(append(dst, '['), host...), ']')
	} else {
		dst = append(dst, host...)
	}
	if port > 0 {
		dst = strconv.AppendInt(append(dst, ':'), int64(port), 10)
	}
	return dst
}

// appendParams writes parameters with a separator before each, of which the first may be another one.
func appendParams(dst []byte, params sip.HeaderParams, first, separator byte) []byte {
	for i, kv := range params {
		if i == 0 {
			dst = append(dst, first)
		} else {
			dst = append(dst, separator)
		}
		dst = append(dst, kv.K...)
		switch {
		case strings.ContainsAny(kv.V, " \t"):
			dst = append(append(append(dst, `="`...), kv.V...), '"')
		case kv.V != "":
			dst = append(append(dst, '='), kv.V...)
		}
	}
	return dst
}
