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
	p := headParser{parts: new(parts)}
	p.firstLine(first)
	if !ok {
		p.fail(bad("No Empty Line After The Headers"))
	}
	if p.msg == nil {
		return Message{}, p.err
	}
	p.headers(rest)
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
		case c > '\r':
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

// nextLine cuts the first header line off, and joins to it the lines that continue it (§7.3.1).
func nextLine(head string) (line, rest string) {
	line, rest, _ = strings.Cut(head, "\r\n")
	if !continues(rest) {
		return line, rest
	}
	var folded strings.Builder
	folded.WriteString(trimRight(line))
	for continues(rest) {
		line, rest, _ = strings.Cut(rest, "\r\n")
		folded.WriteByte(' ')
		folded.WriteString(trim(line))
	}
	return folded.String(), rest
}

func continues(line string) bool { return line != "" && isBlank(line[0]) }

// headParser reads first line and headers, and goes on after a bad one so that the request can be answered.
type headParser struct {
	msg   sip.Message
	parts *parts
	uri   string
	seen  uint32      // which headers there are, a bit for each field that has a place in parts
	count int         // headers in msg
	err   *ParseError // the first
}

// again says whether there was such a header before, and notes that there is one now.
func (p *headParser) again(f field) bool {
	before := p.seen&(1<<f) != 0
	p.seen |= 1 << f
	return before
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
	if p.msg != nil {
		return
	}
	words := strings.Fields(line)
	if len(words) >= 3 && isToken(words[0]) && isVersion(words[len(words)-1]) {
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
	req := sip.NewRequest(sip.RequestMethod(method), sip.Uri{})
	if !parseURI(uri, &req.Recipient) || len(req.Recipient.Headers) > 0 { // §19.1.1: a Request-URI has no headers
		p.fail(bad("Malformed Request-URI"))
		req.Recipient = sip.Uri{}
	}
	if !strings.EqualFold(version, "SIP/2.0") {
		p.fail(&ParseError{Status: sip.StatusVersionNotSupported, Reason: "Version Not Supported"})
	}
	p.uri, p.msg = uri, req
}

func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; c {
		case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', '{', '}':
			return false
		default:
			if c <= ' ' || c >= 0x7f {
				return false
			}
		}
	}
	return s != ""
}

// trim cuts white space off both ends.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	return trimRight(s)
}

func trimRight(s string) string {
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (p *headParser) headers(head string) {
	for lines := 0; head != "" && p.count <= maxHeaders; {
		var line string
		if line, head = nextLine(head); line == "" {
			continue
		}
		if lines++; lines > maxHeaders {
			p.fail(bad("Too Many Headers"))
			return
		}
		p.header(line)
	}
}

// header reads one line.
func (p *headParser) header(line string) {
	name, value, ok := strings.Cut(line, ":")
	name = trimRight(name)
	if !ok || !isToken(name) {
		p.fail(bad("Malformed Header Line"))
		return
	}
	name = longName(name)
	f := fieldOf(name)
	if f.single() && p.again(f) {
		p.fail(bad("%s Appears Twice", name))
		return
	}
	if f.listed() && strings.Count(value, ",") > maxHeaders {
		p.fail(bad("Too Many Headers"))
		return
	}
	if !p.read(f, name, trim(value)) {
		p.fail(bad("Malformed %s", name))
	}
}

// add takes a header into the message.
func (p *headParser) add(h sip.Header) {
	if p.count++; p.count > maxHeaders {
		p.fail(bad("Too Many Headers"))
		return
	}
	p.msg.AppendHeader(h)
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
	return ok && req.Method != sip.ACK && req.Via() != nil
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
