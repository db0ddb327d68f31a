package bridge

import (
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/location"
	"tandem/bridge/route"
	"tandem/sipside/transaction"
)

// injections are texts that would be more than they say.
var injections = []string{
	"Bob\r\nX-Injected: 1", "Bob\nX-Injected: 1", "Bob\rX-Injected: 1", "\x00", "\"", "\\", "\\\"", "<", ">", "\" <sip:evil@example.org>\r\n", "a,b;c=d?e",
	"%0d%0aX-Injected:%201", "bob%0d%0a@x", "Bob\r\n\r\nINVITE sip:x SIP/2.0\r\n", "\u2028", "grüße", "a\\\x00b", "Bob\r\n folded", "?Replaces=x%0d%0aX-Injected%3a1",
}

// oneMessage reads what is written, and says whether it is one message with the headers that were meant.
func oneMessage(t *testing.T, msg sip.Message, requestURI string) {
	t.Helper()
	var headers []sip.Header
	switch m := msg.(type) {
	case *sip.Request:
		via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1"}
		via.Params.Add("branch", "z9hG4bK1")
		m.PrependHeader(via)
		headers = m.Headers()
	case *sip.Response:
		headers = m.Headers()
	}
	data := transaction.Append(nil, transaction.Message{Message: msg, RequestURI: requestURI})
	again, err := transaction.Parse(data)
	if err != nil {
		t.Errorf("%v:\n%q", err, data)
		return
	}
	headers = slices.DeleteFunc(slices.Clone(headers), func(h sip.Header) bool { return h.Name() == "Content-Length" }) // which is always there
	head, body, _ := strings.Cut(string(data), "\r\n\r\n")
	if got, want := strings.Count(head, "\n"), len(headers)+1; got != want || strings.Count(head, "\r") != want || len(again.Body()) != len(body) {
		t.Errorf("%d lines of headers, not %d:\n%q", got, want, data)
	}
	if injected := again.Message.(interface{ GetHeader(string) sip.Header }).GetHeader("X-Injected"); injected != nil {
		t.Errorf("injected:\n%q", data)
	}
}

// hostileCall is an INVITE that a peer could have sent, with a text wherever it may say something; nil where the door refuses it.
func hostileCall(text string) *sip.Request {
	inURI := strings.Map(inURI, text)
	msg, err := transaction.Parse([]byte("INVITE sip:600@example.com SIP/2.0\r\nVia: SIP/2.0/UDP x.invalid;branch=z9hG4bK1\r\n" +
		"From: \"" + text + "\" <sip:alice@example.com?" + "X=" + inURI + ">;tag=a\r\nTo: <sip:" + inURI +
		"@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@x.invalid?" + inURI + ">\r\n" +
		"P-Asserted-Identity: \"" + text + "\" <sip:+49@example.com>\r\nSubject: " + text + "\r\nX-A: " + text + "\r\nReason: SIP;cause=200;text=\"" + text + "\"\r\n" +
		"Diversion: " + text + "\r\n\r\n"))
	if err != nil {
		return nil
	}
	return msg.Message.(*sip.Request)
}

// hostileMessages writes every kind of message with a text in it, as peers, routes and errors bring it.
func hostileMessages(t *testing.T, b *Bridge, text string) {
	t.Helper()
	plain := hostileCall("Bob")
	ins := []*sip.Request{plain}
	if req := hostileCall(text); req != nil {
		ins = append(ins, req)
	}
	for _, in := range ins {
		change := &route.Change{Set: []route.Header{{Name: "X-Set", Value: text}}, Add: []route.Header{{Name: text, Value: "x"}}, Remove: []string{text}}
		d := b.dialogTowards(in, target{binding: location.Binding{Contact: "sip:x@y.invalid?" + strings.Map(inURI, text), AOR: "sip:alice@example.com"}}, "")
		if in == plain {
			d.LocalName, d.RemoteName = text, text // of an assertion, of a snapshot
		}
		out := d.request(sip.INVITE)
		for _, h := range append(crossing(in.Headers()), sip.NewHeader("Reason", reasonValue(480, text)), sip.NewHeader("Reason", reasonsOf(in))) {
			if h.Value() != "" {
				out.AppendHeader(h)
			}
		}
		obey(out.Request, change)
		oneMessage(t, out.Request, out.RequestURI)
		oneMessage(t, b.response(in, reply{status: 480, reason: text, why: text}), "")
		answered := dialogOfInvite(in, "t", "token")
		oneMessage(t, answered.request(sip.BYE).Request, answered.Target)
	}
	body := string(sipfrag(486, text))
	if strings.Count(body, "\n") != 1 || strings.Count(body, "\r") != 1 {
		t.Errorf("sipfrag %q", body)
	}
}

// inURI leaves of a text what a Contact that a door lets in may have.
func inURI(r rune) rune {
	if r <= ' ' || r >= 0x7f || strings.ContainsRune("<>\"@", r) {
		return -1
	}
	return r
}

func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	b := New(Config{Node: "n1", Secret: []byte("x")}, Wiring{})
	for _, text := range injections {
		hostileMessages(t, b, text)
	}
	if req := hostileCall(`a \" b`); req == nil || !slices.Contains(lines(crossing(req.Headers())), `X-A: a \" b`) {
		t.Error("the door refuses what is sound")
	}
}

// FuzzCallOfHostileTexts: whatever a peer or a configuration says, what is written is one message with the headers that were meant.
func FuzzCallOfHostileTexts(f *testing.F) {
	for _, text := range injections {
		f.Add(text)
	}
	b := New(Config{Node: "n1", Secret: []byte("x")}, Wiring{})
	f.Fuzz(func(t *testing.T, text string) { hostileMessages(t, b, text) })
}
