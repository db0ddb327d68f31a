package transaction

import (
	"errors"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

const options = "OPTIONS sip:x%41@[::1]:5060;a=%3B SIP/2.0\r\n" +
	"Via: SIP/2.0/WSS abc.invalid;branch=z9hG4bK123\r\n" +
	"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n"

func TestParseKeepsRequestURI(t *testing.T) {
	msg, err := Parse([]byte(options + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "sip:x%41@[::1]:5060;a=%3B"; msg.RequestURI != want {
		t.Fatalf("Request-URI %q, want %q", msg.RequestURI, want)
	}
	out := string(Append(nil, msg))
	if !strings.HasPrefix(out, "OPTIONS sip:x%41@[::1]:5060;a=%3B SIP/2.0\r\n") || !strings.HasSuffix(out, "Content-Length: 0\r\n\r\n") {
		t.Fatalf("written as %q", out)
	}
}

// A table of what is wrong, the words for it, and whether the door can answer.
func TestParseRefuses(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(options, old, new, 1) + "\r\n" }
	drop := func(prefix string) string {
		var keep []string
		for line := range strings.SplitAfterSeq(options, "\r\n") {
			if !strings.HasPrefix(line, prefix) {
				keep = append(keep, line)
			}
		}
		return strings.Join(keep, "") + "\r\n"
	}
	for name, tt := range map[string]struct {
		data       string
		reason     string
		status     int
		answerable bool
	}{
		"empty":                     {"", "Malformed First Line", 400, false},
		"garbage":                   {"\x16\x03\x01 x\r\n\r\n", "Malformed First Line", 400, false},
		"http":                      {"GET / HTTP/1.1\r\n\r\n", "Malformed Request Line", 400, false},
		"no end":                    {options, "No Empty Line", 400, true},
		"no via":                    {drop("Via"), "Missing Via", 400, false},
		"no from":                   {drop("From"), "Missing From", 400, true},
		"no to":                     {drop("To"), "Missing To", 400, true},
		"no call-id":                {drop("Call-ID"), "Missing Call-ID", 400, true},
		"no cseq":                   {drop("CSeq"), "Missing CSeq", 400, true},
		"cseq of another method":    {replace("1 OPTIONS", "1 INVITE"), "CSeq Method Differs", 400, true},
		"cseq is no number":         {replace("1 OPTIONS", "x OPTIONS"), "Malformed CSeq", 400, true},
		"cseq beyond 2^31":          {replace("1 OPTIONS", "2147483648 OPTIONS"), "Malformed CSeq", 400, true},
		"two From":                  {options + "From: <sip:c@d>;tag=9\r\n\r\n", "From Appears Twice", 400, true},
		"two From, one short":       {options + "f: <sip:c@d>;tag=9\r\n\r\n", "From Appears Twice", 400, true},
		"two Content-Length":        {options + "Content-Length: 0\r\nl: 2\r\n\r\nab", "Content-Length Appears Twice", 400, true},
		"Content-Length too long":   {options + "Content-Length: 3\r\n\r\nab", "Content-Length Beyond", 400, true},
		"Content-Length negative":   {options + "Content-Length: -1\r\n\r\n", "Malformed Content-Length", 400, true},
		"Content-Length is no size": {options + "Content-Length: 99999999999999999999\r\n\r\n", "Malformed Content-Length", 400, true},
		"Max-Forwards":              {options + "Max-Forwards: many\r\n\r\n", "Malformed Max-Forwards", 400, true},
		"Contact":                   {options + "Contact: <sip:a@b\r\n\r\n", "Malformed Contact", 400, true},
		"version 3":                 {replace("SIP/2.0\r\n", "SIP/3.0\r\n"), "Version Not Supported", 505, true},
		"version of a response":     {"SIP/7.0 200 OK\r\n" + strings.SplitN(options, "\r\n", 2)[1] + "\r\n", "Version Not Supported", 505, false},
		"status 99":                 {"SIP/2.0 099 OK\r\n" + strings.SplitN(options, "\r\n", 2)[1] + "\r\n", "Malformed Status", 400, false},
		"status 1000":               {"SIP/2.0 1000 OK\r\n" + strings.SplitN(options, "\r\n", 2)[1] + "\r\n", "Malformed Status", 400, false},
		"URI":                       {replace("sip:x%41@[::1]:5060;a=%3B", "sip:[::1"), "Malformed Request-URI", 400, true},
		"bare line feed":            {replace("c1\r\n", "c1\nX: 1\r\n"), "Line Feed Without", 400, false},
		"bare carriage return":      {replace("c1\r\n", "c1\rX: 1\r\n"), "Carriage Return Without", 400, false},
		"NUL":                       {replace("c1", "c\x00"), "NUL", 400, false},
		"Via without host":          {replace("abc.invalid", ""), "Malformed Via", 400, false},
		"Via of HTTP":               {replace("SIP/2.0/WSS", "HTTP/2.0/TCP"), "Malformed Via", 400, true},
		"Via version":               {replace("SIP/2.0/WSS", "SIP/3.0/WSS"), "Malformed Via", 400, true},
		"line without colon":        {options + "nonsense\r\n\r\n", "Malformed Header Line", 400, true},
		"empty name":                {options + ": x\r\n\r\n", "Malformed Header Line", 400, true},
		"too many headers":          {options + strings.Repeat("X: 1\r\n", 300) + "\r\n", "Too Many Headers", 400, true},
		"too many values":           {options + "Route: " + strings.Repeat("<sip:a>,", 300) + "<sip:a>\r\n\r\n", "Too Many Headers", 400, true},
		"head too large":            {options + "X: " + strings.Repeat("x", 1<<15) + "\r\n\r\n", "Headers Too Large", 513, false},
		"message too large":         {options + "\r\n" + strings.Repeat("x", 1<<16), "Message Too Large", 513, false},
	} {
		msg, err := Parse([]byte(tt.data))
		var perr *ParseError
		if !errors.As(err, &perr) || !strings.Contains(perr.Reason, tt.reason) || perr.Status != tt.status {
			t.Errorf("%s: error %v (%+v), want %d %q", name, err, perr, tt.status, tt.reason)
		}
		if got := msg.Message != nil; got != tt.answerable {
			t.Errorf("%s: answerable %v, want %v", name, got, tt.answerable)
		}
	}
}

func TestParseBody(t *testing.T) {
	for name, tt := range map[string]struct{ data, body string }{
		"no Content-Length":    {options + "\r\nv=0\r\n", "v=0\r\n"},
		"exact":                {options + "Content-Length: 2\r\n\r\nab", "ab"},
		"short: rest is cut":   {options + "Content-Length: 2\r\n\r\nabcd", "ab"},
		"zero":                 {options + "l: 0\r\n\r\nabcd", ""},
		"empty lines in front": {"\r\n\r\n" + options + "\r\nab", "ab"},
	} {
		data := []byte(tt.data)
		msg, err := Parse(data)
		if err != nil || string(msg.Body()) != tt.body {
			t.Errorf("%s: %q, %v; want %q", name, msg.Body(), err, tt.body)
			continue
		}
		clear(data)
		if string(msg.Body()) != tt.body {
			t.Errorf("%s: the body lives in the caller's buffer", name)
		}
		if n := msg.ContentLength(); n == nil || int(*n) != len(tt.body) {
			t.Errorf("%s: Content-Length %v, want %d", name, n, len(tt.body))
		}
	}
}

// What RFC 4475 §3.1.1.1 calls a short tortuous INVITE, as far as it concerns one element.
func TestParseTortuousHeaders(t *testing.T) {
	msg, err := Parse([]byte("INVITE sip:vivekg@chair.example.com;unknownparam SIP/2.0\r\n" +
		"TO :\r\n sip:vivekg@chair.example.com ;   tag    = 1918181833n\r\n" +
		"from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n" +
		"MaX-fOrWaRdS: 0068\r\nCall-ID: a84b4c76e66710\r\nCSeq: 0009\r\n  INVITE\r\n" +
		"v: SIP/2.0/UDP 192.0.2.2;branch=390skdjuw, SIP/2.0/TCP spindle.example.com;Branch=z9hG4bK9ikj8\r\n" +
		"k: timer\r\nx: 90\r\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam = newvalue\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	req := msg.Message.(*sip.Request)
	vias := req.GetHeaders("Via")
	if len(vias) != 2 || vias[0].(*sip.ViaHeader).Params.GetOr("branch", "") != "390skdjuw" ||
		vias[1].(*sip.ViaHeader).Params.GetOr("branch", "") != "z9hG4bK9ikj8" {
		t.Errorf("Via %v", vias)
	}
	if got := req.To().Params.GetOr("tag", ""); got != "1918181833n" || req.To().Address.Host != "chair.example.com" {
		t.Errorf("To %v", req.To())
	}
	if got := req.From().Params.GetOr("tag", ""); got != "98asjd8" {
		t.Errorf("From %v", req.From())
	}
	if req.CSeq().SeqNo != 9 || req.CSeq().MethodName != sip.INVITE || *req.MaxForwards() != 68 {
		t.Errorf("CSeq %v, Max-Forwards %v", req.CSeq(), req.MaxForwards())
	}
	if req.GetHeader("Supported") == nil || req.GetHeader("Session-Expires") == nil || req.Contact() == nil {
		t.Error("compact names were not expanded")
	}
}

func TestAppendContentLengthIsTheBodys(t *testing.T) {
	req := sip.NewRequest("MESSAGE", sip.Uri{Host: "h"})
	req.AppendHeader(sip.NewHeader("content-length", "77"))
	req.SetBody([]byte("hello"))
	if got := string(Append([]byte("x"), Message{Message: req})); got != "xMESSAGE sip:h SIP/2.0\r\nContent-Length: 5\r\n\r\nhello" {
		t.Fatalf("%q", got)
	}
	res := sip.NewResponse(200, "OK")
	if got := string(Append(nil, Message{Message: res})); got != "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n" {
		t.Fatalf("%q", got)
	}
}

// FuzzParse: nothing panics, and what was read and written is read again as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(options + "\r\n"))
	f.Add([]byte(options + "Contact: *\r\nRoute: <sip:a;lr>, \"x\" <sip:b>\r\nRefer-To: sip:c\r\n\r\nbody"))
	f.Add([]byte("SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP [::1]:5060;rport\r\nf: <tel:1>;tag=1\r\nt: sip:b\r\ni: 1\r\nCSeq: 1 INVITE\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, err := Parse(data)
		if err != nil {
			if msg.Message != nil {
				Append(nil, Message{Message: NewResponse(msg.Message.(*sip.Request), 400, "Bad Request")})
			}
			return
		}
		once := Append(nil, msg)
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("not read again: %v\n%q\n%q", err, data, once)
		}
		if string(again.Body()) != string(msg.Body()) || again.RequestURI != msg.RequestURI || *again.CallID() != *msg.CallID() {
			t.Fatalf("changed on the way:\n%q\n%q", data, once)
		}
	})
}
