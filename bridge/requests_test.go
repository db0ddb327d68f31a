package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// set replaces a header, or adds it.
func set(name, value string) func(*sip.Request) {
	return func(req *sip.Request) {
		req.RemoveHeader(name)
		req.AppendHeader(sip.NewHeader(name, value))
	}
}

// What is wrong with a browser's request gets its own status and a Reason, and no call begins.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	body := func(kind, text string) func(*sip.Request) {
		return func(req *sip.Request) {
			req.RemoveHeader("Content-Type")
			value := sip.ContentTypeHeader(kind)
			req.AppendHeader(&value)
			req.SetBody([]byte(text))
		}
	}
	tests := []struct {
		name   string
		method sip.RequestMethod
		target string
		change func(*sip.Request)
		status int
		header string // that the response must have
	}{
		{"hops used up", sip.INVITE, "600", func(req *sip.Request) {
			none := sip.MaxForwardsHeader(0)
			req.ReplaceHeader(&none)
		}, 483, "Reason"},
		{"unknown extension", sip.INVITE, "600", set("Require", "precondition, timer, magic"), 420, "Unsupported"},
		{"a conference to be joined", sip.INVITE, "600", set("Require", "join"), 420, "Unsupported"}, // RFC 3911
		{"route rejects", sip.INVITE, "900123", nil, 403, "Reason"},
		{"body of another kind", sip.INVITE, "600", body("text/plain", "hello"), 415, "Accept"},
		{"compressed", sip.INVITE, "600", set("Content-Encoding", "gzip"), 415, "Accept-Encoding"},
		{"malformed SDP", sip.INVITE, "600", body("application/sdp", "v=0\r\nnonsense"), 400, "Reason"},
		{"nothing acceptable", sip.INVITE, "600", body("application/sdp",
			"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"), 488, "Reason"},
		{"no Contact", sip.INVITE, "600", func(req *sip.Request) { req.RemoveHeader("Contact") }, 400, "Reason"},
		{"no From tag", sip.INVITE, "600", func(req *sip.Request) { req.From().Params = sip.NewParams() }, 400, "Reason"},
		{"unknown method", "FETCH", "600", nil, 501, "Allow"},
		{"MESSAGE without hops", sip.MESSAGE, "600", func(req *sip.Request) {
			none := sip.MaxForwardsHeader(0)
			req.ReplaceHeader(&none)
		}, 483, "Reason"},
		{"MESSAGE that a route rejects", sip.MESSAGE, "900123", nil, 403, "Reason"},
		{"SUBSCRIBE without Event", sip.SUBSCRIBE, "600", nil, 489, "Reason"},
		{"SUBSCRIBE without Contact", sip.SUBSCRIBE, "600", set("Event", "presence"), 400, "Reason"},
		{"NOTIFY of a browser's", sip.NOTIFY, "600", set("Event", "presence"), 481, "Reason"},
		{"NOTIFY within no dialog", sip.NOTIFY, "600", func(req *sip.Request) { req.To().Params.Add("tag", "gone") }, 481, ""},
		{"OPTIONS", sip.OPTIONS, "600", nil, 200, "Allow"},
		{"BYE outside a dialog", sip.BYE, "600", nil, 481, "Reason"},
		{"UPDATE outside a dialog", sip.UPDATE, "600", nil, 481, "Reason"},
		{"REFER outside a dialog", sip.REFER, "600", set("Refer-To", "<sip:601@example.com>"), 481, "Reason"},
		{"INVITE within no dialog", sip.INVITE, "600", func(req *sip.Request) { req.To().Params.Add("tag", "gone") }, 481, ""},
		{"REFER within no dialog", sip.REFER, "600", func(req *sip.Request) { req.To().Params.Add("tag", "gone") }, 481, ""},
	}
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{Raw: true})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := b.NewRequest(test.method, test.target)
			if test.method == sip.INVITE {
				own := b.Contact()
				req.AppendHeader(&sip.ContactHeader{Address: own})
				offer, err := wsstest.FixedAudio().Offer(w.ctx(), wsstest.Change{})
				w.check(err)
				setSession(req, offer)
			}
			if test.change != nil {
				test.change(req)
			}
			w.check(b.Send(req))
			msg, err := b.Expect(w.ctx(), func(msg sip.Message) bool {
				res, ok := msg.(*sip.Response)
				return ok && res.StatusCode >= 200 && res.CallID().Value() == req.CallID().Value()
			})
			w.check(err)
			res := msg.(*sip.Response)
			if res.StatusCode != test.status || (test.header != "" && res.GetHeader(test.header) == nil) {
				t.Errorf("want %d with %s, got\n%s", test.status, test.header, res.String())
			}
			if test.name == "unknown extension" && header(res, "Unsupported") != "precondition, magic" {
				t.Errorf("Unsupported %q", header(res, "Unsupported"))
			}
		})
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// A backend's INVITE as backends send it: identities asserted by the network, a route, headers of its own.
func TestBackendsInviteIsMadeFitForABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	offer := w.rtp().Offer("sendrecv")
	from := sip.FromHeader{DisplayName: "Bob", Address: sip.Uri{Scheme: "sip", User: "bob", Host: "pbx.example.com"}}
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), From: &from, SDP: offer, Headers: []sip.Header{
		sip.NewHeader("P-Asserted-Identity", "<sip:+4930@pbx.example.com>"),
		sip.NewHeader("Record-Route", "<sip:127.0.0.1:5099;lr>"), sip.NewHeader("X-Queue", "7"),
	}})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	got := call.Invitation()
	if kind := header(got, "Content-Type"); kind != "application/sdp" || !strings.HasPrefix(string(got.Body()), "v=0") {
		t.Errorf("Content-Type %q\n%s", kind, got.Body())
	}
	if header(got, "P-Asserted-Identity") == "" || header(got, "X-Queue") != "7" || got.GetHeader("Record-Route") != nil || got.GetHeader("Require") != nil {
		t.Errorf("headers\n%s", got.String())
	}
	if got.From().Address.User != "bob" || got.CallID().Value()[0] != 'T' || len(got.GetHeaders("Via")) != 1 {
		t.Errorf("From %s, Call-ID %s", got.From().Value(), got.CallID().Value())
	}
	w.check(call.Reject(486, "Busy Here"))
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 486 || len(res.GetHeaders("Via")) != 1 {
		t.Errorf("the backend heard\n%s", res.String())
	}
}

// All of a user's browsers ring; the one that answers stops the others.
func TestTwoTabsRing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	one := w.registered("alice", wsstest.Options{})
	two := w.registered("alice", wsstest.Options{})
	to := sip.Uri{Scheme: "sip", User: "alice", Host: "example.com"}
	m := w.rtp()
	out, err := w.agents[0].Invite(siptest.Call{To: to, Target: w.sip.Addrs()[0], SDP: m.Offer("sendrecv")})
	w.check(err)
	first, err := one.NextCall(w.ctx())
	w.check(err)
	second, err := two.NextCall(w.ctx())
	w.check(err)
	w.check(first.Ring())
	w.check(second.Ring())
	w.check(second.Answer(w.ctx()))
	w.check(first.Wait(w.ctx(), wsstest.Ended))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.check(m.Connect(d.Remote))
	m.Tone(1000)
	w.check(second.Media().WaitTone(w.ctx(), 1000))
	w.check(d.Bye(w.ctx()))
	w.check(second.Wait(w.ctx(), wsstest.Ended))
}

type refusing struct{}

func (refusing) Admit(string, string, sip.RequestMethod) error { return errors.New("too many calls") }

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{guard: refusing{}})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	last := call.Responses()[len(call.Responses())-1]
	if last.StatusCode != 503 || !strings.Contains(header(last, "Reason"), "too many calls") || header(last, "Retry-After") == "" {
		t.Errorf("the browser heard\n%s", last.String())
	}
}

// Shutdown takes no new calls, lets the running one go on, and says BYE on both legs when time is up.
func TestShutdown(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	ctx, hurry := context.WithCancel(k.ctx())
	done := make(chan error, 1)
	k.meanwhile(func() { done <- k.bridge.Shutdown(ctx) })
	k.until("draining", func() bool { return k.bridge.draining.Load() })
	late, err := k.browser.Invite(k.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	k.check(err)
	k.check(late.Wait(k.ctx(), wsstest.Ended))
	if late.Status() != 503 {
		t.Errorf("a new call: %d", late.Status())
	}
	k.check(k.call.Update(k.ctx())) // the running call goes on
	hurry()
	bye, err := k.backend.Expect(k.ctx(), sip.BYE)
	k.check(err)
	k.check(bye.Respond(siptest.Reply{Status: 200}))
	k.check(k.call.Wait(k.ctx(), wsstest.Ended))
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if r := k.record(); r.Reason != "shutdown" || r.By != "gateway" {
		t.Errorf("record %+v", r)
	}
}

// A backend that answers no BYE holds Shutdown up for a moment, whether the call ended before or by it.
func TestShutdownWaitsForNoBye(t *testing.T) {
	t.Parallel()
	for _, ended := range []bool{true, false} {
		t.Run(fmt.Sprintf("ended before: %v", ended), func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, wsstest.Options{})
			ctx, hurry := context.WithCancel(k.ctx())
			defer hurry()
			if ended {
				k.check(k.call.Bye(k.ctx()))
			} else {
				hurry()
			}
			begun := time.Now()
			err := k.bridge.Shutdown(ctx)
			if took := time.Since(begun); took > 5*farewell { // a transaction would wait 32 s
				t.Errorf("Shutdown took %v", took)
			}
			if errors.Is(err, context.Canceled) == ended {
				t.Errorf("Shutdown: %v", err)
			}
			if k.bridge.Stats().Calls != 1 { // else the backend answered and nothing was tried
				t.Error("the call is gone")
			}
		})
	}
}

// Without calls Shutdown is immediate, and twice is as good as once.
func TestShutdownOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	for range 2 {
		w.check(w.bridge.Shutdown(w.ctx()))
	}
}

// So is one that has not decided when the caller's own limit is over (RFC 3261 §13.3.1). The answer ends the limit.
func TestInviteExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{handler: behave()})
	b := w.registered("alice", wsstest.Options{})
	invite := func(seconds string) *siptest.Outgoing {
		out, err := w.agents[0].Invite(siptest.Call{
			To: w.toBrowser("alice"), SDP: session(1, "m=audio 4000 RTP/AVP 0"), Headers: []sip.Header{sip.NewHeader("Expires", seconds)},
		})
		w.check(err)
		return out
	}
	out := invite("1")
	call, err := b.NextCall(w.ctx())
	w.check(err)
	w.check(call.Ring())
	res, err := out.Final(w.ctx())
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if r := w.record(); res.StatusCode != 487 || r.Reason != "expired" {
		t.Errorf("%d, record %+v", res.StatusCode, r)
	}
	out = invite("60")
	call, err = b.NextCall(w.ctx())
	w.check(err)
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	c := w.bridge.calls.all()[0]
	hear(c, func() {
		if c.expiry.running() {
			t.Error("the limit runs on after the answer")
		}
	})
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// A callee that never decides is given up.
func TestRingLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{RingLimit: 300 * time.Millisecond}, handler: behave()})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	w.check(in.Respond(siptest.Reply{Status: 487}))
	if r := w.record(); call.Status() != 480 || r.Reason != "ring-timeout" {
		t.Errorf("%d, record %+v", call.Status(), r)
	}
}
