package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// ringsAt has the PBX call a user with several tabs; the calls are in the order of the tabs.
func (w *world) ringsAt(user string, tabs ...*wsstest.Browser) (*siptest.Outgoing, []*wsstest.Call) {
	w.t.Helper()
	to := sip.Uri{Scheme: "sip", User: user, Host: "example.com"}
	out, err := w.agents[0].Invite(siptest.Call{To: to, Target: w.sip.Addrs()[0], SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	var calls []*wsstest.Call
	for _, tab := range tabs {
		call, err := tab.NextCall(w.ctx())
		w.check(err)
		w.check(call.Ring())
		calls = append(calls, call)
	}
	return out, calls
}

// fixed is a tab without media of its own.
func (w *world) fixed(user string) *wsstest.Browser {
	w.t.Helper()
	return w.registered(user, wsstest.Options{NewSession: func() (wsstest.Session, error) { return wsstest.FixedAudio(), nil }})
}

// reasonOfCancel is what a call's CANCEL gives as its reason.
func (w *world) reasonOfCancel(c *wsstest.Call) string {
	w.t.Helper()
	cancel, err := c.WaitReceived(w.ctx(), func(m sip.Message) bool {
		req, ok := m.(*sip.Request)
		return ok && req.Method == sip.CANCEL
	})
	w.check(err)
	return header(cancel, "Reason")
}

// The first answer wins; whoever else rings is told that the call was answered, which is no missed call (RFC 3326 §3.1).
func TestFirstAnswerWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	out, calls := w.ringsAt("alice", w.fixed("alice"), w.fixed("alice"), w.fixed("alice"))
	w.check(calls[2].Reject(480, "Temporarily Unavailable")) // one tab alone speaks for nobody
	w.check(calls[1].Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	if reason := w.reasonOfCancel(calls[0]); reason != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("CANCEL with Reason %q", reason)
	}
	w.check(calls[0].Wait(w.ctx(), wsstest.Ended))
	w.check(d.Bye(w.ctx()))
	w.check(calls[1].Wait(w.ctx(), wsstest.Ended))
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Nobody answers: the caller hears the best of what the tabs said (RFC 3261 §16.7 step 6), whoever said it first.
func TestBestRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		heard []int
		want  int
	}{
		{"busy and unavailable", []int{486, 480}, 486},
		{"unavailable and busy", []int{480, 486}, 486},
		{"no media in common after a fault of the library", []int{500, 488}, 488},
		{"what can be mended is told before what cannot", []int{404, 484}, 484},
		{"a fault is told as what it was, should there be nothing better", []int{500, 500}, 500},
		{"a browser's 503 is not the gateway's", []int{503, 503}, 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			out, calls := w.ringsAt("alice", w.fixed("alice"), w.fixed("alice"))
			for i, status := range test.heard {
				w.check(calls[i].Reject(status, ""))
			}
			res, err := out.Final(w.ctx())
			w.check(err)
			if res.StatusCode != test.want {
				t.Errorf("the caller heard %d", res.StatusCode)
			}
		})
	}
}

// A 6xx is the user's own word: no other phone rings on (RFC 3261 §16.7 step 5).
func TestDeclinedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	out, calls := w.ringsAt("alice", w.fixed("alice"), w.fixed("alice"))
	w.check(calls[0].Reject(603, "Decline"))
	if reason := w.reasonOfCancel(calls[1]); reason != `SIP;cause=603;text="Decline"` {
		t.Errorf("CANCEL with Reason %q", reason)
	}
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 603 {
		t.Errorf("the caller heard %d", res.StatusCode)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Two tabs answer at once: the second one's 2xx crosses the CANCEL, and gets ACK and BYE (RFC 3261 §13.2.2.4, §9.1).
func TestAnswersCross(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	late := w.browser(wsstest.Options{Raw: true})
	late.SetUser("alice", "")
	register := late.NewRequest(sip.REGISTER, "alice")
	register.AppendHeader(&sip.ContactHeader{Address: late.Contact(), Params: sip.HeaderParams{{K: "expires", V: "60"}}})
	w.check(late.Send(register))
	_, err := late.Expect(w.ctx(), func(m sip.Message) bool { res, ok := m.(*sip.Response); return ok && res.StatusCode == 200 })
	w.check(err)
	out, calls := w.ringsAt("alice", w.fixed("alice"))
	expect := func(method sip.RequestMethod) *sip.Request {
		m, err := late.Expect(w.ctx(), func(m sip.Message) bool { req, ok := m.(*sip.Request); return ok && req.Method == method })
		w.check(err)
		return m.(*sip.Request)
	}
	invite := expect(sip.INVITE)
	w.check(late.Send(sip.NewResponseFromRequest(invite, 180, "Ringing", nil)))
	for range 2 {
		_, err = out.Await(w.ctx(), 180)
		w.check(err)
	}
	answer, err := wsstest.FixedAudio().Answer(w.ctx(), invite.Body())
	w.check(err)
	res := sip.NewResponseFromRequest(invite, 200, "OK", answer)
	res.AppendHeader(&sip.ContactHeader{Address: late.Contact()})
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	w.check(calls[0].Answer(w.ctx()))
	cancel := expect(sip.CANCEL)
	w.check(late.Send(res))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	ack, bye := expect(sip.ACK), expect(sip.BYE)
	tag := res.To().Params.GetOr("tag", "")
	for _, req := range []*sip.Request{ack, bye} {
		if tagOf(req.To().Params) != tag || req.CallID().Value() != invite.CallID().Value() {
			t.Errorf("%s of %s %s", req.Method, req.CallID().Value(), req.To().Value())
		}
	}
	if reason := header(bye, "Reason"); reason != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("BYE with Reason %q", reason)
	}
	w.check(late.Send(sip.NewResponseFromRequest(bye, 200, "OK", nil)))
	w.check(late.Send(sip.NewResponseFromRequest(cancel, 200, "OK", nil)))
	w.check(calls[0].Wait(w.ctx(), wsstest.Confirmed))
	w.check(d.Bye(w.ctx()))
	w.check(calls[0].Wait(w.ctx(), wsstest.Ended))
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}
