package wss_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss"
	"tandem/wss/wsstest"
)

// toBrowser is a request that a bridge would send; no Via yet.
func toBrowser(method sip.RequestMethod) *sip.Request {
	req := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: "alice", Host: "x.invalid"})
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	req.AppendHeader(&sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "bob", Host: "example.com"},
		Params: sip.HeaderParams{{K: "tag", V: "gw"}}})
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: "example.com"}})
	id := sip.CallIDHeader("call-" + string(method))
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: method})
	req.SetBody(nil)
	return req
}

func TestRequestToBrowser(t *testing.T) {
	for _, tc := range []struct {
		viaHost   string
		secure    bool
		transport string
		sentBy    string
	}{
		{"", false, "WS", "127.0.0.1:PORT"},
		{"", true, "WSS", "127.0.0.1:PORT"},
		{"gw.example.com", true, "WSS", "gw.example.com"},
		{"[2001:db8::1]:443", true, "WSS", "[2001:db8::1]:443"},
		{"[2001:db8::1]", true, "WSS", "[2001:db8::1]"},
	} {
		t.Run(tc.viaHost+tc.transport, func(t *testing.T) {
			d := open(t, wss.Config{ViaHost: tc.viaHost}, tc.secure)
			b := d.dial(t, wsstest.Options{})
			b.SetUser("alice", "")
			c := d.conn(t, b)
			events := make(chan transaction.Event, 4)
			req := toBrowser(sip.OPTIONS)
			if _, err := c.Request(transaction.Outbound{Request: req, RequestURI: "sip:alice@X.invalid;transport=ws"},
				func(e transaction.Event) { events <- e }); err != nil {
				t.Fatal(err)
			}
			if e := <-events; e.Err != nil || e.Response.StatusCode != 200 {
				t.Fatalf("%+v", e)
			}
			if req.Via() != nil {
				t.Error("the caller's request was changed")
			}
			msg, err := b.Expect(within(t), wsstest.Request(sip.OPTIONS))
			if err != nil {
				t.Fatal(err)
			}
			via := msg.Via()
			_, port, _ := strings.Cut(d.HTTP.Listener.Addr().String(), ":")
			value := strings.Split(via.Value(), ";")[0]
			if want := "SIP/2.0/" + tc.transport + " " + strings.Replace(tc.sentBy, "PORT", port, 1); value != want {
				t.Errorf("Via %q, want %q", value, want)
			}
			if branch := via.Params.GetOr("branch", ""); len(branch) < len("z9hG4bK")+20 {
				t.Errorf("branch %q can be guessed", branch)
			}
		})
	}
}

// TestAck goes outside transactions, with a Via of its own.
func TestAck(t *testing.T) {
	d := open(t, wss.Config{}, false)
	b := d.dial(t, wsstest.Options{Raw: true})
	if err := b.Send(b.NewRequest(sip.OPTIONS, "gateway")); err != nil {
		t.Fatal(err)
	}
	c := (<-d.far.requests).Flow().(*wss.Conn)
	if err := c.Ack(transaction.Outbound{Request: toBrowser(sip.ACK)}); err != nil {
		t.Fatal(err)
	}
	msg, err := b.Expect(within(t), wsstest.Request(sip.ACK))
	if err != nil || len(msg.GetHeaders("Via")) != 1 {
		t.Fatalf("%v %v", msg, err)
	}
}

// TestSameBranch is two browsers whose short branches meet: each request is served.
func TestSameBranch(t *testing.T) {
	d := open(t, wss.Config{}, false)
	text := "OPTIONS sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/WSS same.invalid;branch=z9hG4bK7\r\nMax-Forwards: 69\r\n" +
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: same\r\nCSeq: 1 OPTIONS\r\n\r\n"
	for range 2 {
		b := d.dial(t, wsstest.Options{Raw: true})
		if err := b.SendRaw([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Expect(within(t), wsstest.Response(200, sip.OPTIONS)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.far.requests); n != 2 {
		t.Errorf("%d requests served, want 2", n)
	}
}

// TestLostFlow ends what waits for the browser, then says so, once.
func TestLostFlow(t *testing.T) {
	for name, lose := range map[string]func(*wsstest.Browser, *wss.Conn){
		"closed by the page": func(b *wsstest.Browser, _ *wss.Conn) { b.Close() },
		"tab gone":           func(b *wsstest.Browser, _ *wss.Conn) { b.Drop() },
		"closed by us":       func(_ *wsstest.Browser, c *wss.Conn) { c.Close(1000, "enough"); c.Close(1000, "enough") },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, wss.Config{}, true)
			b := d.dial(t, wsstest.Options{Raw: true})
			if err := b.Send(b.NewRequest(sip.OPTIONS, "gateway")); err != nil {
				t.Fatal(err)
			}
			c := (<-d.far.requests).Flow().(*wss.Conn)
			events := make(chan transaction.Event, 4)
			if _, err := c.Request(transaction.Outbound{Request: toBrowser(sip.INVITE)}, func(e transaction.Event) { events <- e }); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Expect(within(t), wsstest.Request(sip.INVITE)); err != nil {
				t.Fatal(err)
			}
			lose(b, c)
			if e := <-events; !errors.Is(e.Err, transaction.ErrFlowLost) {
				t.Errorf("%+v", e)
			}
			if gone := <-d.far.gone; gone != c {
				t.Errorf("gone: %v, not %v", gone.Name(), c.Name())
			}
			select {
			case <-c.Done():
			default:
				t.Error("BrowserGone before Done")
			}
			if d.Find(c.Flow()) != nil {
				t.Error("BrowserGone while the flow is found")
			}
			if err := c.Send([]byte("x")); !errors.Is(err, wss.ErrClosed) {
				t.Errorf("Send: %v", err)
			}
			if _, err := c.Request(transaction.Outbound{Request: toBrowser(sip.OPTIONS)}, func(e transaction.Event) { events <- e }); err == nil {
				select {
				case e := <-events:
					if !errors.Is(e.Err, transaction.ErrFlowLost) {
						t.Errorf("%+v", e)
					}
				case <-time.After(time.Minute):
					t.Error("no event for a request on a lost flow")
				}
			}
			select {
			case <-d.far.gone:
				t.Error("BrowserGone twice")
			default:
			}
		})
	}
}
