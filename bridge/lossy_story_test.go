package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
	"tandem/wss/wsstest"
)

// quick are timers that make retransmission a matter of milliseconds, and giving up one of more seconds than a busy machine stands still.
func quick() transaction.Config {
	return transaction.Config{T1: 100 * time.Millisecond, T2: 400 * time.Millisecond, T4: 500 * time.Millisecond}
}

// single are timers by which nothing is sent again, however busy the machine, where a test counts what is sent.
func single() transaction.Config {
	return transaction.Config{T1: time.Minute, T2: time.Minute}
}

// lossyStory makes one call of a browser to the only member, as its name says.
func (w *world) lossyStory(name string, b *wsstest.Browser) {
	w.t.Helper()
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	if name == "cancel" {
		w.cancelled(call, in)
		return
	}
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	if name == "hangup" { // the member's
		w.check(d.Bye(w.ctx()))
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		return
	}
	held := make(chan error, 1)
	w.meanwhile(func() { held <- call.Hold(w.ctx()) })
	again, err := d.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	answer, err = m.Answer(again.SDP())
	w.check(err)
	_, err = again.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(<-held)
	w.check(call.Bye(w.ctx()))
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
}

// cancelled gives a ringing call up.
func (w *world) cancelled(call *wsstest.Call, in *siptest.Incoming) {
	w.t.Helper()
	w.until("the browser's 100", func() bool { return len(call.Responses()) > 0 })
	done := make(chan error, 1)
	w.meanwhile(func() { done <- call.Cancel(w.ctx()) })
	cancel, err := w.agents[0].Expect(w.ctx(), sip.CANCEL)
	w.check(err)
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	w.check(in.Respond(siptest.Reply{Status: 487}))
	w.check(<-done)
}
