package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A browser calls a backend: every step of the ladder, what the legs share and what they do not, a tone in each direction.
func TestBrowserCallsBackend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Headers: []sip.Header{
		sip.NewHeader("X-Ticket", "42"), sip.NewHeader("User-Agent", "JsSIP 3.13.8"),
	}})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.checkInvite(call, in)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1000)
	w.check(in.Respond(siptest.Reply{Status: 180, Headers: []sip.Header{sip.NewHeader("X-Queue", "7")}}))
	w.check(call.Wait(w.ctx(), wsstest.Ringing))
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(m.WaitTone(w.ctx(), 440))
	statuses := ""
	for _, res := range call.Responses() {
		statuses += phrase(res.StatusCode) + " "
	}
	if !strings.HasPrefix(statuses, "Trying Ringing OK") {
		t.Errorf("the browser heard %s", statuses)
	}
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q, want one", tags)
	}
	if got := header(call.Responses()[1], "X-Queue"); got != "7" {
		t.Errorf("X-Queue %q did not cross", got)
	}
	if running := w.bridge.Calls(9); len(running) != 1 || running[0].State != "up" || len(running[0].Media) != 2 || len(w.bridge.Calls(0)) != 0 {
		t.Errorf("running: %+v", running)
	}
	w.check(call.Bye(w.ctx()))
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	r := w.record()
	for _, m := range r.Media {
		if len(m.Streams) != 1 || m.Streams[0].In == nil || m.Streams[0].In.Packets == 0 || m.Streams[0].In.LossPercent > 5 {
			t.Errorf("quality in the record: %+v", m)
		}
	}
	if r.Reason != "hangup" || r.By != "caller" || r.Status != 200 || r.Origin != "browsers" || !strings.HasPrefix(r.Backend, "pbx/") {
		t.Errorf("record %+v", r)
	}
	if len(r.Media) != 2 || r.Media[0].PacketsIn == 0 || r.Media[1].PacketsIn == 0 || r.Media[0].SRTP == "" {
		t.Errorf("media figures %+v", r.Media)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// checkInvite compares the INVITE on the backend's leg with that of the browser.
func (w *world) checkInvite(call *wsstest.Call, in *siptest.Incoming) {
	t := w.t
	t.Helper()
	sent, got := call.Invitation(), in.Request()
	if in.RequestURI() != sent.Recipient.String() {
		t.Errorf("Request-URI %q, sent was %q", in.RequestURI(), sent.Recipient.String())
	}
	if got.CallID().Value() == sent.CallID().Value() || tagOf(got.From().Params) == tagOf(sent.From().Params) {
		t.Error("the legs share Call-ID or From-tag")
	}
	if got.From().Address.String() != sent.From().Address.String() || got.To().Address.String() != sent.To().Address.String() {
		t.Errorf("From %s, To %s", got.From().Value(), got.To().Value())
	}
	if contact := got.Contact().Address; contact.UriParams.GetOr("transport", "") == "ws" || strings.HasSuffix(contact.Host, ".invalid") {
		t.Errorf("Contact %s towards a backend", contact.String())
	}
	if hops := got.MaxForwards().Val(); hops != sent.MaxForwards().Val()-1 {
		t.Errorf("Max-Forwards %d of %d", hops, sent.MaxForwards().Val())
	}
	if header(got, "X-Ticket") != "42" || header(got, "User-Agent") == "JsSIP 3.13.8" {
		t.Errorf("X-Ticket %q, User-Agent %q", header(got, "X-Ticket"), header(got, "User-Agent"))
	}
	if header(got, "Require") != "" || sessionIDOf(header(got, "Session-ID")) == "" || header(got, "Allow") != allowed {
		t.Errorf("Require %q, Session-ID %q, Allow %q", header(got, "Require"), header(got, "Session-ID"), header(got, "Allow"))
	}
	if sdp := in.SDP(); !strings.Contains(sdp, "RTP/AVP ") || strings.Contains(sdp, "a=ice-ufrag") {
		t.Errorf("the backend was offered\n%s", sdp)
	}
}

// A backend calls a browser; the browser hangs up, and in a second call the backend.
func TestBackendCallsBrowser(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"browser", "backend"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b := w.registered("alice", wsstest.Options{})
			m := w.rtp()
			out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: m.Offer("sendrecv")})
			w.check(err)
			call, err := b.NextCall(w.ctx())
			w.check(err)
			invite := call.Invitation()
			own := b.Contact()
			if invite.Recipient.User != own.User || invite.To().Address.Scheme != "sip" {
				t.Errorf("Request-URI %s, To %s", invite.Recipient.String(), invite.To().Value())
			}
			w.check(call.Ring())
			_, err = out.Await(w.ctx(), 180)
			w.check(err)
			w.check(call.Answer(w.ctx()))
			d, err := out.Answered(w.ctx(), "")
			w.check(err)
			w.check(m.Connect(d.Remote))
			m.Tone(1000)
			w.check(call.Media().WaitTone(w.ctx(), 1000))
			w.check(m.WaitTone(w.ctx(), 440))
			if by == "browser" {
				w.meanwhile(func() {
					if bye, err := d.Expect(w.ctx(), sip.BYE); err == nil {
						bye.Respond(siptest.Reply{Status: 200})
					}
				})
				w.check(call.Bye(w.ctx()))
			} else {
				w.check(d.Bye(w.ctx()))
				w.check(call.Wait(w.ctx(), wsstest.Ended))
			}
			r := w.record()
			if want := map[string]string{"browser": "callee", "backend": "caller"}[by]; r.By != want || r.Reason != "hangup" || r.Origin != "pbx" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// What a backend refuses reaches the browser, but for what is about the backend itself.
func TestRefusalsCross(t *testing.T) {
	t.Parallel()
	tests := []struct{ backend, browser int }{
		{486, 486}, {404, 404}, {603, 603}, {480, 480}, {500, 500}, {503, 480}, {302, 480}, {488, 488}, {408, 408},
	}
	for _, test := range tests {
		t.Run(phrase(test.backend), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b := w.browser(wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: test.backend, Headers: []sip.Header{sip.NewHeader("Reason", "Q.850;cause=17")}}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != test.browser {
				t.Errorf("the browser heard %d", call.Status())
			}
			responses := call.Responses()
			if got := header(responses[len(responses)-1], "Reason"); got != "Q.850;cause=17" {
				t.Errorf("Reason %q", got)
			}
			if r := w.record(); r.Reason != "refused" || r.Status != test.browser || r.By != "callee" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// A browser gives up: the backend hears CANCEL, the browser 487.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	w.check(call.Wait(w.ctx(), wsstest.Ringing))
	done := make(chan error, 1)
	w.meanwhile(func() { done <- call.Cancel(w.ctx()) })
	cancel, err := w.agents[0].Expect(w.ctx(), sip.CANCEL)
	w.check(err)
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	w.check(in.Respond(siptest.Reply{Status: 487}))
	w.check(<-done)
	if call.Status() != 487 {
		t.Errorf("the browser heard %d", call.Status())
	}
	if r := w.record(); r.Reason != "cancelled" || r.By != "caller" || r.Status != 487 {
		t.Errorf("record %+v", r)
	}
}

// CANCEL waits for a provisional, and a 200 that crosses it is ACKed and hung up.
func TestCancelCrossesAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{TryTimeout: 10 * time.Second}})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.until("the browser's 100", func() bool { return len(call.Responses()) > 0 })
	w.check(call.Cancel(w.ctx()))
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	if r := w.record(); r.Reason != "cancelled" {
		t.Errorf("record %+v", r)
	}
}
