package bridge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tandem/sipside/siptest"
)

// oversizedInvite is an INVITE with more headers, and a body of a kind; its Content-Length says what length does, or the truth.
func oversizedInvite(id, headers, kind, body, length string) []byte {
	if length == "" {
		length = fmt.Sprint(len(body))
	}
	if kind != "" {
		headers += "Content-Type: " + kind + "\r\n"
	}
	return []byte("INVITE sip:600@example.com SIP/2.0\r\nVia: SIP/2.0/TCP probe.example.com;rport;branch=z9hG4bK" + id + "\r\nMax-Forwards: 70\r\n" +
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:600@example.com>\r\nCall-ID: " + id + "\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1>\r\n" +
		headers + "Content-Length: " + length + "\r\n\r\n" + body)
}

// What is too large, too many, nested too deep or compressed is refused at each door before a call begins, and the door goes on
// serving. 0 is silence, or the end of the connection: nothing of the message was read that could be answered.
func TestOversizedOverEveryTransport(t *testing.T) {
	t.Parallel()
	const session = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	const audio = "m=audio 4000 RTP/AVP 0\r\n"
	nested := "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n"
	type statuses map[string]int
	all := func(status int) statuses { return statuses{"UDP": status, "TCP": status, "WS": status} }
	for name, tc := range map[string]struct {
		headers, kind, body, length string
		want                        statuses
	}{
		"thousands of headers":        {headers: strings.Repeat("X: y\r\n", 5000), want: all(400)},
		"thousands of Routes":         {headers: "Route: " + strings.Repeat("<sip:a>,", 3000) + "<sip:a>\r\n", want: all(400)},
		"a header of 30 kB":           {headers: "X: " + strings.Repeat("y", 30000) + "\r\nRequire: magic\r\n", want: all(420)},
		"a header of 40 kB":           {headers: "X: " + strings.Repeat("y", 40000) + "\r\n", want: all(0)},
		"folded again and again":      {headers: "X: y" + strings.Repeat("\r\n z", 7000) + "\r\nRequire: magic\r\n", want: all(420)},
		"gzip":                        {headers: "Content-Encoding: gzip\r\n", kind: "application/sdp", body: "\x1f\x8b" + strings.Repeat("\x00", 20000), want: all(415)},
		"gzip, compact":               {headers: "e: gzip\r\n", kind: "application/sdp", body: "\x1f\x8b", want: all(415)},
		"multiparts in multiparts":    {kind: "multipart/mixed;boundary=b", body: strings.Repeat(nested, 500), want: all(415)},
		"thousands of parts":          {kind: "multipart/mixed;boundary=b", body: strings.Repeat("--b\r\n\r\n\r\n", 5000) + "--b--", want: all(415)},
		"thousands of m-lines":        {kind: "application/sdp", body: session + strings.Repeat(audio, 2000), want: statuses{"WS": 400}},
		"thousands of attributes":     {kind: "application/sdp", body: session + audio + strings.Repeat("a=x\r\n", 10000), want: statuses{"WS": 400}},
		"thousands of formats":        {kind: "application/sdp", body: session + "m=audio 4000 RTP/AVP" + strings.Repeat(" 0", 10000) + "\r\n", want: statuses{"WS": 400}},
		"a body beyond 64 kB":         {kind: "application/sdp", body: session + strings.Repeat("x", 66000), want: statuses{"UDP": -1, "TCP": 513, "WS": 0}},
		"less body than announced":    {kind: "application/sdp", body: session, length: "50000", want: statuses{"UDP": 400, "WS": 400}},
		"a length beyond all bounds":  {length: "999999999", want: statuses{"UDP": 400, "TCP": 513, "WS": 400}},
		"a length beyond all numbers": {length: "99999999999999999999", want: all(400)},
		"a negative length":           {length: "-1", want: all(400)},
		"two lengths":                 {headers: "Content-Length: 5\r\n", want: all(400)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{handler: func(int) func(*siptest.Incoming) bool { return takeMessage }})
			doors := map[string]func(*testing.T, *world) door{"UDP": udpDoor, "TCP": tcpDoor, "WS": wsDoor}
			for _, transport := range slices.Sorted(maps.Keys(tc.want)) {
				want := tc.want[transport]
				d := doors[transport](t, w)
				if got := d.ask(oversizedInvite(transport, tc.headers, tc.kind, tc.body, tc.length), want == 0); got != want {
					t.Errorf("%s: answered %d, want %d", transport, got, want)
				}
				d.close()
				again := doors[transport](t, w)
				if err := again.send([]byte(probe)); err != nil {
					t.Error(err)
				}
				if answer, err := again.read(); err != nil || statusIn(answer) != 200 {
					t.Errorf("%s: the next is answered %q, %v", transport, answer, err)
				}
				again.close()
			}
			w.until("no call is left", func() bool { return w.bridge.Stats().Calls == 0 })
		})
	}
}
