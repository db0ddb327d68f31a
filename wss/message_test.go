package wss_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// TestFraming is SIP in every form that a WebSocket may give it.
func TestFraming(t *testing.T) {
	for name, opt := range map[string]wsstest.Options{
		"text":                         {},
		"binary":                       {Binary: true},
		"fragmented":                   {Fragment: 7},
		"fragmented binary, no length": {Fragment: 100, Binary: true, NoLength: true},
		"without Content-Length":       {NoLength: true},
		"native app":                   {NoOrigin: true, NoInstance: true},
		"one byte to a frame":          {Fragment: 1},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%v", name, secure), func(t *testing.T) {
				d := open(t, wss.Config{}, secure)
				d.far.taking(func(_ *wss.Conn, tx *transaction.Server) bool {
					res := reply(tx.Request(), 200, "OK")
					res.AppendHeader(sip.NewHeader("Content-Type", "text/plain"))
					res.SetBody(tx.Request().Body())
					return tx.Respond(res) == nil
				})
				b := d.dial(t, opt)
				req := b.NewRequest(sip.MESSAGE, "bob")
				req.AppendHeader(sip.NewHeader("Content-Type", "text/plain"))
				req.SetBody([]byte(strings.Repeat("héllo\r\n", 500)))
				res, err := b.Do(within(t), req)
				if err != nil || string(res.Body()) != string(req.Body()) {
					t.Fatalf("%v %v", res, err)
				}
			})
		}
	}
}

// TestNotUTF8 is answered in a binary frame: a browser closes a text frame that is not UTF-8.
func TestNotUTF8(t *testing.T) {
	d := open(t, wss.Config{}, false)
	d.far.taking(func(_ *wss.Conn, tx *transaction.Server) bool {
		res := reply(tx.Request(), 200, "OK")
		res.SetBody([]byte{0xff, 0xfe, 0x00})
		return tx.Respond(res) == nil
	})
	b := d.dial(t, wsstest.Options{})
	res, err := b.Do(within(t), b.NewRequest(sip.MESSAGE, "bob"))
	if err != nil || string(res.Body()) != "\xff\xfe\x00" {
		t.Fatalf("%v %v", res, err)
	}
}

func TestKeepalive(t *testing.T) {
	d := open(t, wss.Config{}, false)
	b := d.dial(t, wsstest.Options{})
	for _, ping := range []string{"\r\n", "\r\n\r\n", "", "\r\n\r\n\r\n"} {
		if err := b.SendRaw([]byte(ping)); err != nil {
			t.Fatal(err)
		}
	}
	d.conn(t, b) // an answer to a request behind them: they have been read
	if n := strings.Count(b.Ladder(), "◀── CRLF"); n != 2 {
		t.Errorf("%d keepalives answered, want 2\n%s", n, b.Ladder())
	}
	if s := d.Stats(); s.Keepalives != 4 || s.Rejected != 0 || s.MessagesIn != 1 {
		t.Errorf("%+v", s)
	}
}

// TestVia is what a browser's own Via looks like when it comes back: untouched but for received and rport.
func TestVia(t *testing.T) {
	d := open(t, wss.Config{}, false)
	b := d.dial(t, wsstest.Options{Raw: true})
	for i, tc := range []struct{ via, want string }{
		{"SIP/2.0/WSS 4f2k9x.invalid;branch=z9hG4bK1234567", "SIP/2.0/WSS 4f2k9x.invalid;branch=z9hG4bK1234567;received=127.0.0.1"},
		{"SIP/2.0/WS 4f2k9x.invalid;rport;branch=z9hG4bK2", "SIP/2.0/WS 4f2k9x.invalid;rport=PORT;branch=z9hG4bK2;received=127.0.0.1"},
		{"SIP/2.0/WSS 10.0.0.1:4711;branch=z9hG4bK3;received=9.9.9.9", "SIP/2.0/WSS 10.0.0.1:4711;branch=z9hG4bK3;received=127.0.0.1"},
	} {
		text := fmt.Sprintf("OPTIONS sip:x@example.com SIP/2.0\r\nVia: %s\r\nMax-Forwards: 69\r\nFrom: <sip:a@example.com>;tag=1\r\n"+
			"To: <sip:x@example.com>\r\nCall-ID: via%d\r\nCSeq: 1 OPTIONS\r\n\r\n", tc.via, i)
		if err := b.SendRaw([]byte(text)); err != nil {
			t.Fatal(err)
		}
		msg, err := b.Expect(within(t), wsstest.Response(200, sip.OPTIONS))
		if err != nil {
			t.Fatal(err)
		}
		tx := <-d.far.requests
		port := fmt.Sprint(tx.Flow().(*wss.Conn).Remote().Port())
		vias := msg.GetHeaders("Via")
		if got := vias[0].Value(); len(vias) != 1 || got != strings.Replace(tc.want, "PORT", port, 1) {
			t.Errorf("Via %q, want %q", got, tc.want)
		}
	}
}

// TestMalformed is answered where it can be, and the connection stays.
func TestMalformed(t *testing.T) {
	d := open(t, wss.Config{}, false)
	b := d.dial(t, wsstest.Options{Raw: true})
	good := b.NewRequest(sip.OPTIONS, "gateway").String()
	status := 0
	for name, tc := range map[string]struct {
		text   string
		status int // 0: no response is possible
	}{
		"not SIP":         {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0},
		"binary rubbish":  {"\x00\x01\x02\x03", 0},
		"no empty line":   {strings.TrimSuffix(good, "\r\n\r\n"), 400},
		"body cut off":    {strings.Replace(good, "Content-Length: 0", "Content-Length: 10", 1), 400},
		"CSeq of another": {strings.Replace(good, "1 OPTIONS", "1 INVITE", 1), 400},
		"version 3":       {strings.Replace(good, "SIP/2.0\r\n", "SIP/3.0\r\n", 1), 505},
		"no Via":          {strings.Replace(good, "Via:", "X-Via:", 1), 0},
		"two CSeq":        {strings.Replace(good, "CSeq: 1 OPTIONS\r\n", "CSeq: 1 OPTIONS\r\nCSeq: 2 OPTIONS\r\n", 1), 400},
	} {
		if err := b.SendRaw([]byte(tc.text)); err != nil {
			t.Fatal(err)
		}
		if tc.status == 0 {
			continue
		}
		status++
		msg, err := b.Expect(within(t), func(msg sip.Message) bool {
			res, ok := msg.(*sip.Response)
			return ok && res.StatusCode == tc.status
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res := msg.(*sip.Response)
		if reason := res.GetHeader("Reason"); reason == nil || !strings.Contains(reason.Value(), fmt.Sprintf("cause=%d", tc.status)) ||
			res.To().Params.GetOr("tag", "") == "" {
			t.Errorf("%s: %s", name, res)
		}
		t.Logf("%s: %d %s", name, res.StatusCode, res.Reason)
	}
	if err := b.SendRaw([]byte(good)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Expect(within(t), wsstest.Response(200, sip.OPTIONS)); err != nil {
		t.Fatal(err)
	}
	if s := d.Stats(); s.Rejected != 8 || s.MessagesIn != 9 || s.MessagesOut != uint64(status+1) {
		t.Errorf("%+v", s)
	}
}

// TestFlowNames holds what the bridge relies on.
func TestFlowNames(t *testing.T) {
	d := open(t, wss.Config{ViaHost: "sip.example.com:8443"}, true)
	seen := map[string]bool{}
	for range 5 {
		b := d.dial(t, wsstest.Options{})
		c := d.conn(t, b)
		if seen[c.Flow()] || strings.Trim(c.Flow(), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("flow %q", c.Flow())
		}
		seen[c.Flow()] = true
		if d.Find(c.Flow()) != c || c.Name() != "browser/"+c.Flow() || c.Transport() != "WSS" || !c.Reliable() {
			t.Errorf("%s %s", c.Name(), c.Transport())
		}
		if c.Local() != netip.MustParseAddrPort(d.HTTP.Listener.Addr().String()) || !c.Remote().Addr().IsLoopback() {
			t.Errorf("local %s remote %s", c.Local(), c.Remote())
		}
		contact := c.Contact("t0ken")
		if got := contact.String(); got != "sip:t0ken@sip.example.com:8443;transport=ws" {
			t.Errorf("Contact %q", got)
		}
		b.Close()
		<-c.Done()
		eventually(t, "the flow is forgotten", func() bool { return d.Find(c.Flow()) == nil })
	}
	if d.Find("nobody") != nil {
		t.Error("Find invents a connection")
	}
}

// TestTrace shows each message once, in order, with its Call-ID.
func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	d := open(t, wss.Config{Trace: func(m transaction.Traced) {
		mu.Lock()
		defer mu.Unlock()
		line, _, _ := strings.Cut(string(m.Data), "\r\n")
		seen = append(seen, fmt.Sprintf("%v %s %s %s", m.Sent, m.Transport, m.CallID, line))
		if m.Local == m.Remote || m.At.IsZero() {
			t.Errorf("%+v", m)
		}
	}}, true)
	b := d.dial(t, wsstest.Options{})
	req := b.NewRequest(sip.OPTIONS, "gateway")
	if _, err := b.Do(within(t), req); err != nil {
		t.Fatal(err)
	}
	if err := b.SendRaw([]byte("rubbish\r\ni: short\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three messages", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 3
	})
	want := []string{"false WSS " + string(*req.CallID()) + " OPTIONS sip:gateway@example.com SIP/2.0",
		"true WSS " + string(*req.CallID()) + " SIP/2.0 200 OK", "false WSS short rubbish"}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("%q\nwant %q", seen, want)
	}
}
