package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// page is a client that keeps its identity when it connects again.
func page() wsstest.Options { return wsstest.Options{Instance: "urn:uuid:a1", ContactUser: "page"} }

// losses are a connection that breaks and one that is dead without the gateway's knowing.
func losses() map[string]func(w *world, b *wsstest.Browser) {
	return map[string]func(*world, *wsstest.Browser){
		"broken": func(w *world, b *wsstest.Browser) {
			b.Drop()
			w.until("the gateway to notice", func() bool { return w.wss.Stats().Connections == 0 })
		},
		"silent": func(_ *world, b *wsstest.Browser) { b.Deafen() },
	}
}

// returns registers the client anew, with the call that it still has.
func (w *world) returns(call *wsstest.Call) *wsstest.Browser {
	w.t.Helper()
	again := w.browser(page())
	if call != nil {
		call.Move(again)
	}
	_, err := again.Register(w.ctx(), "alice", "")
	w.check(err)
	return again
}

// The far end hangs up while the browser's connection is dead: the browser hears BYE once it is back.
func TestHungUpMeanwhile(t *testing.T) {
	t.Parallel()
	for name, lose := range losses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, page())
			lose(k.world, k.browser)
			k.check(k.backend.Bye(k.ctx()))
			if r := k.record(); r.Reason != "hangup" {
				t.Errorf("record %+v", r)
			}
			k.returns(k.call)
			k.check(k.call.Wait(k.ctx(), wsstest.Ended))
			k.until("no call to run", func() bool { return k.bridge.Stats().Calls == 0 })
		})
	}
}

// A call that ended for its browser's absence is over for the browser, too, once it is back.
func TestOrphanedMeanwhile(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{bridge: Config{OrphanLimit: 50 * time.Millisecond}}, page())
	k.browser.Drop()
	bye, err := k.backend.Expect(k.ctx(), sip.BYE)
	k.check(err)
	k.check(bye.Respond(siptest.Reply{Status: 200}))
	k.until("no call to run", func() bool { return k.bridge.Stats().Calls == 0 })
	again := k.returns(k.call)
	k.check(k.call.Wait(k.ctx(), wsstest.Ended))
	m, err := again.Expect(k.ctx(), func(m sip.Message) bool { req, ok := m.(*sip.Request); return ok && req.Method == sip.BYE })
	k.check(err)
	if reason := header(m.(*sip.Request), "Reason"); !strings.Contains(reason, "did not come back") {
		t.Errorf("BYE with Reason %q", reason)
	}
}

// The far end holds while the browser's connection is silent: the offer follows the browser to its next one.
func TestHeldMeanwhile(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, page())
	k.browser.Deafen()
	held := make(chan int, 1)
	k.meanwhile(func() {
		res, err := k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendonly"))
		if err != nil {
			t.Error(err)
			held <- 0
			return
		}
		held <- res.StatusCode
	})
	k.until("the offer to be lost", func() bool { return strings.Contains(k.browser.Ladder(), "INVITE "+"sip:page") })
	k.returns(k.call)
	if status := <-held; status != 200 {
		t.Errorf("hold: %d", status)
	}
	k.hangUp()
}

// A client that comes back has forgotten what rang and what it dialled: the far end is told at once.
func TestRingingMeanwhile(t *testing.T) {
	t.Parallel()
	for name, lose := range losses() {
		t.Run("called, "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b := w.registered("alice", page())
			out, calls := w.ringsAt("alice", b)
			lose(w, b)
			calls[0].Close()
			w.returns(nil)
			res, err := out.Final(w.ctx())
			w.check(err)
			if r := w.record(); res.StatusCode != 480 || r.Reason != "flow-lost" || r.By != "callee" {
				t.Errorf("%d, record %+v", res.StatusCode, r)
			}
		})
		t.Run("calling, "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{handler: behave()})
			b := w.registered("alice", page())
			call, err := b.Invite(w.ctx(), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 180}))
			w.check(call.Wait(w.ctx(), wsstest.Ringing))
			lose(w, b)
			w.returns(nil)
			if r := w.record(); r.Reason != "flow-lost" || r.By != "caller" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// The PBX refers the browser to somebody else while its connection is broken: they talk at once, and the browser is offered what
// the other says as soon as it is back.
func TestTransferredMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	b := w.registered("alice", page())
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	losses()["broken"](w, b)
	res, err := bob.dialog.Request(w.ctx(), sip.REFER, "", "", sip.NewHeader("Refer-To", "<sip:700@example.com>"))
	w.check(err)
	if res.StatusCode != 202 {
		t.Fatalf("REFER answered %d", res.StatusCode)
	}
	reports := make(chan string, 1)
	w.meanwhile(func() { reports <- bob.reports() })
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1500)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	if said := <-reports; said != "100 200" {
		t.Errorf("the PBX heard %q", said)
	}
	w.check(call.Media().WaitTone(w.ctx(), 1500))
	w.check(m.WaitTone(w.ctx(), 440))
	again := w.returns(call)
	_, err = again.Expect(w.ctx(), func(m sip.Message) bool { req, ok := m.(*sip.Request); return ok && req.IsAck() }) // of its answer
	w.check(err)
	w.check(call.Media().WaitTone(w.ctx(), 1500))
	w.check(bob.dialog.Bye(w.ctx()))
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}
