package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// raced is a call that is up, between a browser and the member.
func (w *world) raced() (*wsstest.Call, *siptest.Dialog) {
	w.t.Helper()
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	d := w.answered(w.agents[0], w.rtp(), 1000)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	return call, d
}

// RFC 5407 §3.2.2 and §3.2.3: a BYE that crosses a re-INVITE ends the call, whatever the re-INVITE is answered with; who sent
// it hears 487 (RFC 3261 §15.1.2).
func TestByeCrossesReinvite(t *testing.T) {
	t.Parallel()
	for _, answered := range []int{487, 481} {
		w := newWorld(t, conditions{timers: quick()})
		caller, callee := w.trunkCall([2]string{session(1, "m=audio 4000 RTP/AVP 0"), session(1, "m=audio 4100 RTP/AVP 0")})
		held := make(chan int, 1)
		w.meanwhile(func() {
			res, err := caller.Reinvite(w.ctx(), session(2, "m=audio 4000 RTP/AVP 0", "a=sendonly"))
			if err != nil {
				held <- 0
				return
			}
			held <- res.StatusCode
		})
		again, err := callee.Expect(w.ctx(), sip.INVITE)
		w.check(err)
		res, err := callee.Request(w.ctx(), sip.BYE, "", "")
		w.check(err)
		if res.StatusCode != 200 {
			t.Errorf("the BYE is answered %d", res.StatusCode)
		}
		w.check(again.Respond(siptest.Reply{Status: answered}))
		bye, err := caller.Expect(w.ctx(), sip.BYE)
		w.check(err)
		if status := <-held; status != 487 { // at once: the BYE may stay without an answer
			t.Errorf("the re-INVITE is answered %d", status)
		}
		w.check(bye.Respond(siptest.Reply{Status: 200}))
		w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
		w.until("no transaction to be left", func() bool { return w.sip.Stats().Transactions.Clients == 0 })
	}
}

// RFC 5407 §3.2.3: the 200 to our re-INVITE comes when the call is gone; it is acknowledged all the same.
func TestAnswerToReinviteAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{timers: quick()})
	caller, callee := w.trunkCall([2]string{session(1, "m=audio 4000 RTP/AVP 0"), session(1, "m=audio 4100 RTP/AVP 0")})
	held := make(chan error, 1)
	w.meanwhile(func() {
		_, err := caller.Reinvite(w.ctx(), session(2, "m=audio 4000 RTP/AVP 0", "a=sendonly"))
		held <- err
	})
	again, err := callee.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(callee.Bye(w.ctx()))
	bye, err := caller.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.check(<-held)
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
	if _, err := again.Accept(w.ctx(), siptest.Reply{SDP: session(2, "m=audio 4100 RTP/AVP 0", "a=recvonly")}); err != nil {
		t.Error(err)
	}
}

// RFC 5407 §3.2.1: both sides hang up at once; each BYE is answered, and the call ends once.
func TestByeCrossesBye(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, d := w.raced()
	done := make(chan error, 1)
	w.meanwhile(func() { done <- call.Bye(w.ctx()) })
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	res, err := d.Request(w.ctx(), sip.BYE, "", "")
	w.check(err)
	if res.StatusCode != 200 && res.StatusCode != 481 {
		t.Errorf("the crossing BYE is answered %d", res.StatusCode)
	}
	w.check(bye.Respond(siptest.Reply{Status: 481}))
	w.check(<-done)
	if r := w.record(); r.Reason != "hangup" || r.By != "caller" {
		t.Errorf("record %+v", r)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}
