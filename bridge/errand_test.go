package bridge

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// text gives a request a body.
func text(req *sip.Request, kind, body string) *sip.Request {
	value := sip.ContentTypeHeader(kind)
	req.AppendHeader(&value)
	req.SetBody([]byte(body))
	return req
}

// replies answers the next request of a method at an agent.
func (w *world) replies(a *siptest.Agent, method sip.RequestMethod, status int, headers ...sip.Header) *siptest.Incoming {
	w.t.Helper()
	in, err := a.Expect(w.ctx(), method)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: status, Headers: headers}))
	return in
}

// sends sends a request of a browser's, and gives its final response when it has come.
func (w *world) sends(b *wsstest.Browser, req *sip.Request) <-chan *sip.Response {
	out := make(chan *sip.Response, 1)
	w.meanwhile(func() {
		res, err := b.Do(w.ctx(), req)
		if err != nil {
			w.t.Error(err)
		}
		out <- res
	})
	return out
}

func TestMessageToPBX(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	req := text(b.NewRequest(sip.MESSAGE, "bob"), "text/plain;charset=utf-8", "grüß dich")
	req.AppendHeader(sip.NewHeader("X-Ticket", "42"))
	answer := w.sends(b, req)
	in := w.replies(w.agents[0], sip.MESSAGE, 202)
	if res := <-answer; res.StatusCode != 202 {
		t.Errorf("answered %d", res.StatusCode)
	}
	got := in.Request()
	if string(got.Body()) != "grüß dich" || got.ContentType().Value() != "text/plain;charset=utf-8" || headerValue(got, "X-Ticket") != "42" {
		t.Errorf("arrived:\n%s", got)
	}
	if got.CallID().Value() == req.CallID().Value() || got.Contact() != nil || got.MaxForwards().Val() != req.MaxForwards().Val()-1 {
		t.Errorf("the legs are not apart:\n%s", got)
	}
}

// A challenge crosses, and the credentials come on the leg of the challenge.
func TestMessageWithCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 2})
	b := w.browser(wsstest.Options{})
	b.SetUser("alice", "secret")
	answer := w.sends(b, text(b.NewRequest(sip.MESSAGE, "bob"), "text/plain", "hello"))
	challenge := sip.NewHeader("Proxy-Authenticate", `Digest realm="pbx", nonce="n-1", algorithm=MD5, qop="auth"`)
	asked := w.expectAny(sip.MESSAGE)
	w.check(asked.Respond(siptest.Reply{Status: 407, Headers: []sip.Header{challenge}}))
	proved := w.expectAny(sip.MESSAGE)
	w.check(proved.Respond(siptest.Reply{Status: 200}))
	if res := <-answer; res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	first, second := asked.Request(), proved.Request()
	if first.CallID().Value() != second.CallID().Value() || second.CSeq().SeqNo != first.CSeq().SeqNo+1 {
		t.Errorf("the credentials came on another leg:\n%s\n%s", first, second)
	}
	if !strings.Contains(headerValue(second, "Proxy-Authorization"), `nonce="n-1"`) {
		t.Errorf("no credentials:\n%s", second)
	}
}

// expectAny waits for a request at whichever agent gets it.
func (w *world) expectAny(method sip.RequestMethod) *siptest.Incoming {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.ctx())
	defer stop()
	found := make(chan *siptest.Incoming, len(w.agents))
	for _, a := range w.agents {
		w.meanwhile(func() {
			if in, err := a.Expect(ctx, method); err == nil {
				found <- in
			}
		})
	}
	select {
	case in := <-found:
		return in
	case <-ctx.Done():
		w.t.Fatalf("no %s came", method)
		return nil
	}
}

// A member that fails is followed by the next; a refusal of the callee's is final.
func TestMessageFailover(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	w := newWorld(t, conditions{members: 3, handler: func(int) func(*siptest.Incoming) bool {
		return func(in *siptest.Incoming) bool {
			if in.Request().Method != sip.MESSAGE {
				return false
			}
			status := 503
			if asked.Add(1) == 2 {
				status = 404
			}
			return in.Respond(siptest.Reply{Status: status}) == nil
		}
	}})
	b := w.registered("alice", wsstest.Options{})
	res := <-w.sends(b, text(b.NewRequest(sip.MESSAGE, "bob"), "text/plain", "hello"))
	if res.StatusCode != 404 || asked.Load() != 2 {
		t.Errorf("answered %d after %d members, want the second one's 404", res.StatusCode, asked.Load())
	}
}

func TestMessageToBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	to := w.toBrowser("alice")
	res, err := w.agents[0].Do(w.ctx(), sip.MESSAGE, siptest.Call{To: to})
	w.check(err)
	if res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	msg, err := b.Expect(w.ctx(), wsstest.Request(sip.MESSAGE))
	w.check(err)
	if got := msg.(*sip.Request); got.Recipient.User != b.Contact().User {
		t.Errorf("Request-URI %s", got.Recipient.String())
	}
	b.Drop()
	w.until("the flow is gone", func() bool {
		return len(w.store.ByAOR("sip:alice@example.com")) == 1 && w.store.ByAOR("sip:alice@example.com")[0].Flow == ""
	})
	for _, method := range []sip.RequestMethod{sip.MESSAGE, sip.OPTIONS} {
		res, err = w.agents[0].Do(w.ctx(), method, siptest.Call{To: to})
		w.check(err)
		if res.StatusCode != 480 {
			t.Errorf("%s to a browser that is gone: %d, want 480", method, res.StatusCode)
		}
	}
}

// Message waiting comes without a subscription too, as Asterisk sends it.
func TestUnsolicitedNotify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{Raw: false})
	headers := []sip.Header{sip.NewHeader("Event", "message-summary"), sip.NewHeader("Subscription-State", "active")}
	res, err := w.agents[0].Do(w.ctx(), sip.NOTIFY, siptest.Call{To: w.toBrowser("alice"), Headers: headers})
	w.check(err)
	if res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	msg, err := b.Expect(w.ctx(), wsstest.Request(sip.NOTIFY))
	w.check(err)
	if got := msg.(*sip.Request); headerValue(got, "Event") != "message-summary" || headerValue(got, "Subscription-State") != "active" {
		t.Errorf("arrived:\n%s", got)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	req := text(b.NewRequest(sip.PUBLISH, "alice"), "application/pidf+xml", "<presence/>")
	req.AppendHeader(sip.NewHeader("Event", "presence"))
	req.AppendHeader(sip.NewHeader("SIP-If-Match", "tag1"))
	req.AppendHeader(sip.NewHeader("Expires", "600"))
	answer := w.sends(b, req)
	in := w.replies(w.agents[0], sip.PUBLISH, 200, sip.NewHeader("SIP-ETag", "tag2"), sip.NewHeader("Expires", "300"))
	if res := <-answer; headerValue(res, "SIP-ETag") != "tag2" || headerValue(res, "Expires") != "300" {
		t.Errorf("answered:\n%s", res)
	}
	if got := in.Request(); headerValue(got, "SIP-If-Match") != "tag1" || headerValue(got, "Event") != "presence" {
		t.Errorf("arrived:\n%s", got)
	}
}

// A MESSAGE within a call reaches who is at its other end.
func TestMessageInCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	c, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	d := w.answered(w.agents[0], w.rtp(), 500)
	w.check(c.Wait(w.ctx(), wsstest.Confirmed))
	done := make(chan int, 1)
	w.meanwhile(func() {
		res, err := c.Request(w.ctx(), sip.MESSAGE, "text/plain", []byte("hello"))
		if err != nil {
			t.Error(err)
		}
		done <- res.StatusCode
	})
	in, err := d.Expect(w.ctx(), sip.MESSAGE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 202}))
	if status := <-done; status != 202 || string(in.Request().Body()) != "hello" {
		t.Errorf("answered %d to\n%s", status, in.Request())
	}
	w.check(c.Bye(w.ctx()))
}
