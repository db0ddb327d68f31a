package transaction

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Limits of one message: beyond them it is refused before anything is parsed.
const (
	maxMessage = 1 << 16
	maxHead    = 1 << 15
	maxHeaders = 256
	maxParams  = 128 // of one URI, or of one value of a header
)

// ParseError says what is wrong with a message, in words fit for a reason phrase, and which status answers it.
type ParseError struct {
	Status int // 400, 505 or 513
	Reason string
}

func (e *ParseError) Error() string { return "transaction: " + e.Reason }

func bad(format string, args ...any) *ParseError {
	return &ParseError{Status: sip.StatusBadRequest, Reason: fmt.Sprintf(format, args...)}
}

// Parse reads one whole message (a datagram or a WebSocket message): first line, headers, body. A missing Content-Length
// means the rest of data (RFC 3261 §18.3, RFC 7118); a Content-Length beyond data is an error; less cuts the body.
// Empty lines before the first are passed over (§7.5), compact header names become long ones, folded lines one line.
// Errors are *ParseError and name what is wrong; where err is not nil and the message is a request whose top Via could be
// read, msg is still set so that the door can answer with a Reason. Any other header may then be missing or malformed.
// Nothing of data is kept.
func Parse(data []byte) (msg Message, err error) {
	if len(data) > maxMessage {
		return Message{}, &ParseError{Status: sip.StatusMessageTooLarge, Reason: "Message Too Large"}
	}
	for bytes.HasPrefix(data, []byte("\r\n")) {
		data = data[2:]
	}
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if perr := checkHead(head); perr != nil {
		return Message{}, perr
	}
	first, rest, _ := strings.Cut(string(head), "\r\n")
	p := headParser{lines: unfold(rest)}
	p.firstLine(first)
	if !ok {
		p.fail(bad("No Empty Line After The Headers"))
	}
	if p.msg == nil {
		return Message{}, p.err
	}
	p.headers()
	p.check()
	p.body(body)
	if p.err == nil {
		return Message{Message: p.msg, RequestURI: p.uri}, nil
	}
	if p.answerable() {
		return Message{Message: p.msg, RequestURI: p.uri}, p.err
	}
	return Message{}, p.err
}

// checkHead refuses what one parser takes for a line end and the next does not: header smuggling begins there.
func checkHead(head []byte) *ParseError {
	if len(head) > maxHead {
		return &ParseError{Status: sip.StatusMessageTooLarge, Reason: "Headers Too Large"}
	}
	for i, c := range head {
		switch {
		case c == '\n' && (i == 0 || head[i-1] != '\r'):
			return bad("Line Feed Without Carriage Return")
		case c == '\r' && (i+1 == len(head) || head[i+1] != '\n'):
			return bad("Carriage Return Without Line Feed")
		case c == 0 && (i == 0 || head[i-1] != '\\'): // a quoted pair may be NUL (§25.1)
			return bad("NUL In The Headers")
		}
	}
	return nil
}

// unfold joins continuation lines (§7.3.1).
func unfold(head string) []string {
	var lines []string
	var folded strings.Builder // the last line, where it has a continuation
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(lines) > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			last := len(lines) - 1
			if folded.Len() == 0 {
				folded.WriteString(strings.TrimRight(lines[last], " \t"))
			}
			folded.WriteString(" " + strings.Trim(line, " \t"))
			lines[last] = folded.String() // no copy
			continue
		}
		if line != "" {
			folded.Reset()
			lines = append(lines, line)
		}
	}
	return lines
}

// headParser reads first line and headers, and goes on after a bad one so that the request can be answered.
type headParser struct {
	lines []string
	msg   sip.Message
	uri   string
	err   *ParseError // the first
}

func (p *headParser) fail(err *ParseError) {
	if p.err == nil {
		p.err = err
	}
}

func (p *headParser) firstLine(line string) {
	a, rest, ok1 := strings.Cut(line, " ")
	b, c, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok1 || !ok2:
		p.fail(bad("Malformed First Line"))
	case isVersion(a):
		p.statusLine(a, b, c)
	default:
		p.requestLine(a, b, c)
		p.guessRequest(line)
	}
}

// guessRequest finds the method of a request line with spaces that do not belong there, so that it can be answered.
func (p *headParser) guessRequest(line string) {
	words := strings.Fields(line)
	if p.msg == nil && len(words) >= 3 && isToken(words[0]) && isVersion(words[len(words)-1]) {
		p.msg = sip.NewRequest(sip.RequestMethod(words[0]), sip.Uri{})
	}
}

func isVersion(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "SIP/") }

func (p *headParser) statusLine(version, code, reason string) {
	status, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || status < 100 || status > 699 {
		p.fail(bad("Malformed Status Code"))
		return
	}
	if !strings.EqualFold(version, "SIP/2.0") {
		p.fail(&ParseError{Status: sip.StatusVersionNotSupported, Reason: "Version Not Supported"})
		return
	}
	p.msg = sip.NewResponse(int(status), reason)
}

func (p *headParser) requestLine(method, uri, version string) {
	if !isToken(method) || uri == "" || !isVersion(version) || strings.ContainsAny(version, " \t") {
		p.fail(bad("Malformed Request Line"))
		return
	}
	var recipient sip.Uri
	if !parseURI(uri, &recipient) || len(recipient.Headers) > 0 { // §19.1.1: a Request-URI has no headers
		p.fail(bad("Malformed Request-URI"))
		recipient = sip.Uri{}
	}
	if !strings.EqualFold(version, "SIP/2.0") {
		p.fail(&ParseError{Status: sip.StatusVersionNotSupported, Reason: "Version Not Supported"})
	}
	p.uri = uri
	p.msg = sip.NewRequest(sip.RequestMethod(method), recipient)
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

func (p *headParser) headers() {
	if len(p.lines) > maxHeaders {
		p.fail(bad("Too Many Headers"))
		p.lines = p.lines[:maxHeaders]
	}
	seen := make(map[string]bool, 8)
	count := 0
	for _, line := range p.lines {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || !isToken(name) {
			p.fail(bad("Malformed Header Line"))
			continue
		}
		name = longName(name)
		lower := strings.ToLower(name)
		if single(lower) {
			if seen[lower] {
				p.fail(bad("%s Appears Twice", name))
				continue
			}
			seen[lower] = true
		}
		if listed(lower) && strings.Count(value, ",") > maxHeaders {
			p.fail(bad("Too Many Headers"))
			return
		}
		list, ok := parseHeader(name, lower, value)
		if !ok {
			p.fail(bad("Malformed %s", name))
		}
		if count += len(list); count > maxHeaders {
			p.fail(bad("Too Many Headers"))
			return
		}
		for _, h := range list {
			p.msg.AppendHeader(h)
		}
	}
}

func (p *headParser) check() {
	m := p.msg
	for _, missing := range []struct {
		name string
		is   bool
	}{
		{"Via", m.Via() == nil}, {"From", m.From() == nil}, {"To", m.To() == nil},
		{"Call-ID", m.CallID() == nil}, {"CSeq", m.CSeq() == nil},
	} {
		if missing.is {
			p.fail(bad("Missing %s", missing.name))
		}
	}
	cseq := m.CSeq()
	if req, ok := m.(*sip.Request); ok && cseq != nil && cseq.MethodName != req.Method {
		p.fail(bad("CSeq Method Differs From The Request's"))
	}
}

// answerable says whether a response to the request would find its way; it has of the headers what the request has
// (RFC 4475 §3.3.1).
func (p *headParser) answerable() bool {
	req, ok := p.msg.(*sip.Request)
	return ok && req.Method != sip.ACK && len(req.GetHeaders("Via")) > 0
}

func (p *headParser) body(body []byte) {
	if h := p.msg.ContentLength(); h != nil {
		if uint64(*h) > uint64(len(body)) {
			p.fail(bad("Content-Length Beyond The Message"))
			return
		}
		body = body[:int(*h)]
	}
	p.msg.SetBody(bytes.Clone(body))
}
