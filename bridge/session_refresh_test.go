package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
	"tandem/wss/wsstest"
)

// refused answers with a status and headers.
func refused(status int, headers ...sip.Header) func(transaction.Outbound) *sip.Response {
	return func(out transaction.Outbound) *sip.Response {
		res := sip.NewResponseFromRequest(out.Request, status, "No", nil)
		for _, h := range headers {
			res.AppendHeader(h)
		}
		return res
	}
}

// A peer that refreshes keeps the session for ten of its periods, as JsSIP does with an UPDATE each 45 s.
func TestPeerRefreshesForTenPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		hear(c, func() { c.callee.agreeTimer(refreshed("90;refresher=uas")) })
		for range 10 {
			time.Sleep(45 * time.Second)
			req := sip.NewRequest(sip.UPDATE, sip.Uri{Scheme: "sip", Host: "127.0.0.1"})
			req.AppendHeader(sip.NewHeader("Session-Expires", "90;refresher=uac"))
			hear(c, func() { c.callee.agreeTimer(req); c.callee.startTimer() })
		}
		synctest.Wait()
		if got := backend.methods() + browser.methods(); got != "" {
			t.Errorf("sent %q in spite of the refreshes", got)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if backend.methods() != "BYE" || browser.methods() != "BYE" {
			t.Errorf("backend %q, browser %q after the last refresh ran out", backend.methods(), browser.methods())
		}
		for _, p := range []*scripted{browser, backend} {
			if reason := header(p.sent[0], "Reason"); !strings.Contains(reason, "cause=408") || !strings.Contains(reason, "no session refresh from the callee") {
				t.Errorf("BYE with Reason %q", reason)
			}
		}
	})
}

// A 2xx to a refresh that names no interval ends the peer's duty, and the session lives without.
func TestPeerEndsTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		hear(c, func() {
			c.callee.agreeTimer(refreshed("90;refresher=uas"))
			c.callee.agreeTimer(sip.NewResponse(200, "OK"))
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := backend.methods() + browser.methods(); got != "" {
			t.Errorf("sent %q", got)
		}
		hear(c, func() { c.fail(shuttingDown()) })
	})
}

// What a peer says to our refresh: a longer interval is taken, a refusal tried again, and the session ends where none succeeds.
func TestRefusedRefresh(t *testing.T) {
	tests := []struct {
		name    string
		answer  func(transaction.Outbound) *sip.Response
		after   time.Duration
		backend string // what it heard until then
		ended   string
	}{
		{"422 and then longer", func(out transaction.Outbound) *sip.Response {
			if expires, _ := sessionExpires(out.Request); expires < 10*time.Minute {
				return refused(422, sip.NewHeader("Min-SE", "600"))(out)
			}
			return ok(sip.NewHeader("Session-Expires", "600;refresher=uac"))(out)
		}, 7 * time.Minute, "UPDATE UPDATE UPDATE", ""},
		{"422 that asks for nothing longer", refused(422, sip.NewHeader("Min-SE", "90")), 91 * time.Second, "UPDATE UPDATE UPDATE UPDATE BYE", "session-expired"},
		{"422 that never has enough", func(out transaction.Outbound) *sip.Response {
			expires, _ := sessionExpires(out.Request)
			return refused(422, sip.NewHeader("Min-SE", decimal(int(expires/time.Second)+1)))(out)
		}, 46 * time.Second, "UPDATE UPDATE UPDATE UPDATE", ""},
		{"500", refused(500), 91 * time.Second, "UPDATE UPDATE UPDATE UPDATE BYE", "session-expired"},
		{"408", refused(408), 46 * time.Second, "UPDATE", "dialog-lost"},
		{"silence", nil, 91 * time.Second, "UPDATE BYE", "session-expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				browser, backend := &scripted{answer: ok()}, &scripted{answer: test.answer}
				c := established(browser, backend)
				hear(c, func() { c.callee.agreeTimer(refreshed("90;refresher=uac")) })
				time.Sleep(test.after)
				synctest.Wait()
				if got := backend.methods(); got != test.backend {
					t.Errorf("the backend heard %q, want %q", got, test.backend)
				}
				if ended := c.bridge.Stats().CallsEnded; len(ended) > 1 || test.ended != "" && ended[test.ended] != 1 || test.ended == "" && len(ended) != 0 {
					t.Errorf("ended %v, want %q", ended, test.ended)
				}
				if test.ended == "" {
					hear(c, func() { c.fail(shuttingDown()) })
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// A peer that brings Session-Expires and knows no timer is not asked to refresh (RFC 4028 §9).
func TestTimerOfAPeerWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		browser, backend := &scripted{answer: ok()}, &scripted{answer: ok()}
		c := established(browser, backend)
		req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", Host: "127.0.0.1"})
		req.AppendHeader(sip.NewHeader("Session-Expires", "1800"))
		hear(c, func() { c.callee.dialog.Timer = false; c.callee.agreeTimer(req) })
		var said []sip.Header
		hear(c, func() { said = c.callee.timer.headers() })
		if len(said) != 1 || said[0].Value() != "1800;refresher=uas" {
			t.Errorf("answered %v", said)
		}
		hear(c, func() { c.fail(shuttingDown()) })
	})
}

// A backend that wants a longer interval (422) gets the INVITE again: the same Call-ID and tag, the next CSeq. The browser hears
// nothing of it, and its own short interval is never refused.
func TestIntervalTooSmallForTheBackend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {SessionExpires: 30 * time.Minute}}}})
	call, in := w.ringing(wsstest.InviteOptions{})
	if got := header(in.Request(), "Session-Expires"); got != "1800" || header(in.Request(), "Min-SE") != "" {
		t.Errorf("Session-Expires %q, Min-SE %q", got, header(in.Request(), "Min-SE"))
	}
	w.check(in.Respond(siptest.Reply{Status: 422, Headers: []sip.Header{sip.NewHeader("Min-SE", "3600")}}))
	again, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	was, is := in.Request(), again.Request()
	if header(is, "Session-Expires") != "3600" || header(is, "Min-SE") != "3600" {
		t.Errorf("again with Session-Expires %q, Min-SE %q", header(is, "Session-Expires"), header(is, "Min-SE"))
	}
	if is.CallID().Value() != was.CallID().Value() || tagOf(is.From().Params) != tagOf(was.From().Params) || is.CSeq().SeqNo != was.CSeq().SeqNo+1 {
		t.Errorf("again as %s %s %d, was %s %s %d", is.CallID().Value(), tagOf(is.From().Params), is.CSeq().SeqNo,
			was.CallID().Value(), tagOf(was.From().Params), was.CSeq().SeqNo)
	}
	if again.SDP() != in.SDP() {
		t.Error("another offer in the second INVITE")
	}
	answer, err := w.rtp().Answer(again.SDP())
	w.check(err)
	d, err := again.Accept(w.ctx(), siptest.Reply{SDP: answer, Headers: []sip.Header{
		sip.NewHeader("Require", "timer"), sip.NewHeader("Session-Expires", "3600;refresher=uac")}})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	for _, res := range call.Responses() {
		if res.StatusCode == 422 {
			t.Error("the browser heard 422")
		}
		if res.StatusCode == 200 && header(res, "Session-Expires") != "90;refresher=uac" {
			t.Errorf("the browser's Session-Expires is %q", header(res, "Session-Expires"))
		}
	}
	w.check(d.Bye(w.ctx()))
}

// A caller that gives up while the INVITE goes out again has the second one cancelled.
func TestCancelAfter422(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {SessionExpires: 30 * time.Minute}}}})
	call, in := w.ringing(wsstest.InviteOptions{})
	w.check(in.Respond(siptest.Reply{Status: 100}))
	w.check(in.Respond(siptest.Reply{Status: 422, Headers: []sip.Header{sip.NewHeader("Min-SE", "3600")}}))
	again, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	ended := make(chan error, 1)
	w.meanwhile(func() { ended <- call.Cancel(w.ctx()) })
	w.check(again.Respond(siptest.Reply{Status: 180}))
	cancel, err := w.agents[0].Expect(w.ctx(), sip.CANCEL)
	w.check(err)
	if cancel.Cancels() != again.Server {
		t.Error("the CANCEL is not the second INVITE's")
	}
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	w.check(again.Respond(siptest.Reply{Status: 487}))
	w.check(<-ended)
}

// A backend's interval below ours is refused with 422 and our least, a browser's never.
func TestIntervalTooSmallForUs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	w.registered("alice", wsstest.Options{})
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv"),
		Headers: []sip.Header{sip.NewHeader("Session-Expires", "60"), sip.NewHeader("Supported", "timer")}})
	w.check(err)
	res, err := out.Await(w.ctx(), 422)
	w.check(err)
	if header(res, "Min-SE") != "90" {
		t.Errorf("Min-SE %q", header(res, "Min-SE"))
	}
	short := []sip.Header{sip.NewHeader("Session-Expires", "30"), sip.NewHeader("Min-SE", "30")}
	call, in := w.ringing(wsstest.InviteOptions{Headers: short, Session: wsstest.FixedAudio()})
	answer, err := w.rtp().Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	offer, err := wsstest.FixedAudio().Offer(w.ctx(), wsstest.Change{})
	w.check(err)
	for kind, body := range map[string][]byte{"": nil, "application/sdp": offer} {
		updated, err := call.Request(w.ctx(), sip.UPDATE, kind, body, short...)
		w.check(err)
		if updated.StatusCode != 200 || !strings.HasPrefix(header(updated, "Session-Expires"), "90;") {
			t.Errorf("the browser's UPDATE: %d, Session-Expires %q", updated.StatusCode, header(updated, "Session-Expires"))
		}
	}
	w.check(d.Bye(w.ctx()))
}
