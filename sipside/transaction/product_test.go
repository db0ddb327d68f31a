package transaction

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// What the gateway calls itself stands in what it sends, once, and where nobody wants it nowhere.
func TestProduct(t *testing.T) {
	t.Parallel()
	const head = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
	parse := func(more string) Message {
		msg, err := Parse([]byte(head + more + "Content-Length: 4\r\n\r\nbody"))
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	plain := parse("")
	for _, row := range []struct {
		name    string
		msg     Message
		product string
		want    string // a line; "": no such header
	}{
		{"a request", plain, "Example/1 (x)", "User-Agent: Example/1 (x)\r\n"},
		{"a request that says it", parse("User-Agent: route's\r\n"), "Example/1", "User-Agent: route's\r\n"},
		{"nobody", plain, "", ""},
		{"a response", Message{Message: NewResponse(plain.Message.(*sip.Request), 200, "OK")}, "Example/1", "Server: Example/1\r\n"},
	} {
		out := string(AppendNamed([]byte("before"), row.msg, row.product))
		if n := strings.Count(out, "User-Agent:") + strings.Count(out, "Server:"); !strings.Contains(out, row.want) || (n == 1) != (row.want != "") {
			t.Errorf("%s:\n%s", row.name, out)
		}
		again, err := Parse([]byte(strings.TrimPrefix(out, "before")))
		if err != nil || string(again.Body()) != string(row.msg.Body()) {
			t.Errorf("%s is read as %v, %v", row.name, again, err)
		}
	}
}

// The layer says it of requests, of responses and of the 100 that nobody wrote.
func TestLayerSaysItsProduct(t *testing.T) {
	t.Parallel()
	l, flow := New(Config{Product: "Example/1"}), newLine(true)
	msg, err := Parse([]byte("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	l.Receive(msg, flow, func(s *Server) {
		if err := s.Respond(NewResponse(s.req, 200, "OK")); err != nil {
			t.Error(err)
		}
	})
	if len(flow.sent) != 1 {
		t.Fatalf("sent %v", flow.sent)
	}
	if h := flow.sent[0].Message.(*sip.Response).GetHeader("Server"); h == nil || h.Value() != "Example/1" {
		t.Errorf("sent %v", flow.sent)
	}
}
