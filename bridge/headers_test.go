package bridge

import (
	"reflect"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// parsed is a request with the given header lines, read by the doors' parser.
func parsed(t *testing.T, method string, lines ...string) *sip.Request {
	t.Helper()
	head := []string{
		method + " sip:600@example.com SIP/2.0", "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1", "From: <sip:alice@example.com>;tag=a",
		"To: <sip:600@example.com>", "Call-ID: c", "CSeq: 1 " + method, "Max-Forwards: 70",
	}
	msg, err := transaction.Parse([]byte(strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return msg.Message.(*sip.Request)
}

func lines(hs []sip.Header) []string {
	var out []string
	for _, h := range hs {
		out = append(out, h.Name()+": "+h.Value())
	}
	return out
}

func TestCrossing(t *testing.T) {
	t.Parallel()
	users := []string{
		"X-Ticket: 42", "x-lower: a, b; c", "User-to-User: 56a3;encoding=hex", "Alert-Info: <urn:alert:source:external>",
		"Call-Info: <http://x.example/p.png>;purpose=icon", "Subject: lunch", "Priority: urgent", "Date: Sat, 21 Nov 2026 10:00:00 GMT",
		"History-Info: <sip:bob@example.com>;index=1", "Diversion: <sip:bob@example.com>;reason=no-answer", "Accept-Language: de",
		"Geolocation: <cid:x@example.com>", "Privacy: header", "Retry-After: 5", `Warning: 399 pbx "busy"`,
		"Answer-Mode: Auto", "Priv-Answer-Mode: Auto", "Error-Info: <sip:tone@example.com>", "Geolocation-Error: 100",
		"Geolocation-Routing: yes", "In-Reply-To: c@example.com", "Organization: Example", "Referred-By: <sip:bob@example.com>",
		"Reply-To: <sip:bob@example.com>",
	}
	identity := []string{`P-Asserted-Identity: "A" <sip:a@example.com>`, "Remote-Party-ID: <sip:a@example.com>", "P-Associated-URI: <sip:a@example.com>",
		"P-Called-Party-ID: <sip:a@example.com>"}
	legs := []string{
		"Route: <sip:10.0.0.1;lr>", "Record-Route: <sip:10.0.0.1;lr>", "Contact: <sip:a@x.invalid;transport=ws>", "Supported: outbound",
		"Require: timer", "Proxy-Require: x", "Allow: INVITE", "Allow-Events: dialog", "Session-Expires: 90", "Min-SE: 90",
		"Content-Type: application/sdp", "Content-Disposition: session", "Content-Language: de", "Path: <sip:p;lr>",
		"Service-Route: <sip:p;lr>", "Security-Verify: tls", `Authorization: Digest nonce="n"`, `Proxy-Authorization: Digest nonce="n"`,
		`WWW-Authenticate: Digest nonce="n"`, "User-Agent: JsSIP", "Server: pbx", "P-Preferred-Identity: <sip:a@example.com>",
		"P-Charging-Vector: icid-value=1", "Reason: SIP;cause=200", "Replaces: c;to-tag=1;from-tag=2", "Accept: application/sdp",
		"Event: reg", "Expires: 60", "RSeq: 1", "Xenon: not an X header", "Session-ID: 00;remote=00",
		"Accept-Contact: *;audio", "Reject-Contact: *;video", "Request-Disposition: no-fork", "Identity: x", "Join: c;to-tag=1;from-tag=2",
		"Target-Dialog: c;local-tag=1;remote-tag=2", "Timestamp: 54", "SIP-ETag: x", "MIME-Version: 1.0", "Accept-Encoding: gzip",
	}
	req := parsed(t, "INVITE", append(append(append([]string{}, legs...), users...), identity...)...)
	if got := lines(crossing(req.Headers())); !reflect.DeepEqual(got, users) {
		t.Errorf("crossing:\ngot  %q\nwant %q", got, users)
	}
	if got, want := lines(crossingFromBackend(req.Headers())), append(append([]string{}, users...), identity...); !reflect.DeepEqual(got, want) {
		t.Errorf("crossingFromBackend:\ngot  %q\nwant %q", got, want)
	}
}

func TestPrivacyHidesAssertedIdentity(t *testing.T) {
	t.Parallel()
	for privacy, hidden := range map[string]bool{"id": true, "header; ID": true, "user": true, "none": false, "session": false} {
		req := parsed(t, "INVITE", "P-Asserted-Identity: <sip:a@example.com>", "Privacy: "+privacy)
		got := lines(crossingFromBackend(req.Headers()))
		if want := 2; hidden {
			want = 1
			if len(got) != want || !strings.HasPrefix(got[0], "Privacy") {
				t.Errorf("Privacy: %s: %q", privacy, got)
			}
		} else if len(got) != want {
			t.Errorf("Privacy: %s: %q", privacy, got)
		}
	}
}

func TestCrossingClones(t *testing.T) {
	t.Parallel()
	req := parsed(t, "INVITE", "X-A: 1")
	original := req.GetHeader("X-A")
	if got := crossing(req.Headers()); len(got) != 1 || got[0] == original {
		t.Errorf("%q is the request's own header", lines(got))
	}
}

// A header that would begin another one cannot come through the parser, and crosses no more if it was made by hand.
func TestNoHeaderIsSmuggled(t *testing.T) {
	t.Parallel()
	head := "INVITE sip:600@example.com SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=a\r\n" +
		"To: <sip:600@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
	for name, value := range map[string]string{
		"line feed": "a\nRoute: <sip:evil>", "carriage return": "a\rRoute: <sip:evil>", "NUL": "a\x00b",
		"fold": "a\r\n Route: <sip:evil>", "fold with tab": "a\r\n\tRoute: <sip:evil>", "colon and quote": `a: "b`,
	} {
		t.Run(name, func(t *testing.T) {
			msg, err := transaction.Parse([]byte(head + "X-A: " + value + "\r\n\r\n"))
			if err == nil {
				out := sip.NewRequest(sip.INVITE, sip.Uri{Host: "pbx"})
				for _, h := range crossing(msg.Message.(*sip.Request).Headers()) {
					out.AppendHeader(h)
				}
				wire := string(transaction.Append(nil, transaction.Message{Message: out}))
				if strings.Contains(wire, "\nRoute:") || strings.Count(wire, "\n") != 4 {
					t.Errorf("smuggled: %q", wire)
				}
			}
			if got := crossing([]sip.Header{sip.NewHeader("X-A", value)}); !oneLine(value) && got != nil {
				t.Errorf("crossed: %q", lines(got))
			}
		})
	}
	if got := crossing([]sip.Header{sip.NewHeader("X-A: 1\r\nRoute", "<sip:evil>")}); got != nil {
		t.Errorf("crossed: %q", lines(got))
	}
}
