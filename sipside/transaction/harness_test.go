package transaction

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// line is a Flow that keeps what is sent, with the time since it was made.
type line struct {
	name     string
	reliable bool
	onSend   func(Message) // runs inside Send

	mu     sync.Mutex
	start  time.Time
	sent   []Message
	at     []time.Duration
	err    error
	closed int
}

func newLine(reliable bool) *line { return &line{name: "line", reliable: reliable, start: time.Now()} }

func (f *line) Send(data []byte) error {
	msg, err := Parse(data)
	if err != nil {
		panic(fmt.Sprintf("the layer sent what it cannot read: %v\n%s", err, data))
	}
	f.mu.Lock()
	f.sent = append(f.sent, msg)
	f.at = append(f.at, time.Since(f.start))
	err = f.err
	f.mu.Unlock()
	if f.onSend != nil {
		f.onSend(msg)
	}
	return err
}

func (f *line) Reliable() bool   { return f.reliable }
func (f *line) Identity() string { return f.name }

// Close is what a layer must never call: the door owns its connections.
func (f *line) Close() error { f.closed++; return nil }

func (f *line) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// first lines of what was sent, "INVITE" or "200".
func (f *line) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, m := range f.sent {
		out = append(out, short(m.Message))
	}
	return out
}

func (f *line) last() Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[len(f.sent)-1]
}

// requestOf is the request of a client transaction as its line got it.
func requestOf(c *Client) *sip.Request {
	f := c.Flow().(*line)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.sent {
		if req, ok := m.Message.(*sip.Request); ok && req.Method == c.key.method && req.Via().Params.GetOr("branch", "") == c.key.branch {
			return req
		}
	}
	panic("the request was not sent")
}

func short(m sip.Message) string {
	switch m := m.(type) {
	case *sip.Request:
		return string(m.Method)
	case *sip.Response:
		return fmt.Sprint(m.StatusCode)
	}
	return ""
}

var errWrite = errors.New("write refused")

// request parses a request as a peer would send it.
func request(t testing.TB, method, branch string, more ...string) Message {
	t.Helper()
	text := fmt.Sprintf("%s sip:bob@h;x=%%41 SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid;branch=%s\r\nFrom: <sip:a@h>;tag=f\r\n"+
		"To: <sip:b@h>\r\nCall-ID: call\r\nCSeq: 7 %s\r\nMax-Forwards: 70\r\n%s\r\n", method, branch, method, strings.Join(more, ""))
	msg, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func outbound(t testing.TB, method, branch string, more ...string) Outbound {
	t.Helper()
	msg := request(t, method, branch, more...)
	return Outbound{Request: msg.Message.(*sip.Request), RequestURI: msg.RequestURI}
}

func answer(req *sip.Request, status int, tag string) *sip.Response {
	res := NewResponse(req, status, "Reason")
	if tag != "" {
		res.To().Params.Add("tag", tag)
	}
	return res
}

// events collects what a client's user is told.
type events struct {
	mu   sync.Mutex
	list []Event
}

func (e *events) on(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, ev := range e.list {
		switch {
		case ev.Err != nil && ev.Response != nil:
			out = append(out, "both")
		case errors.Is(ev.Err, ErrTimeout):
			out = append(out, "timeout")
		case errors.Is(ev.Err, ErrFlowLost):
			out = append(out, "lost")
		case ev.Err != nil:
			out = append(out, ev.Err.Error())
		default:
			out = append(out, fmt.Sprint(ev.Response.StatusCode)+toTag(ev.Response.To()))
		}
	}
	return strings.Join(out, " ")
}

// desk is a Handler that keeps what it is given.
type desk struct {
	mu  sync.Mutex
	all []*Server
}

func (d *desk) serve(s *Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, s)
}

func (d *desk) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, s := range d.all {
		out = append(out, string(s.Request().Method))
	}
	return strings.Join(out, " ")
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// empty fails if a transaction is left.
func empty(t *testing.T, l *Layer) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.clients)+len(l.servers)+len(l.flows) != 0 {
		t.Errorf("left: %d clients, %d servers, %d flows", len(l.clients), len(l.servers), len(l.flows))
	}
}
