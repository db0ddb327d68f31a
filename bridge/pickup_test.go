package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// replacing is the header of an INVITE that takes the place of a dialog.
func replacing(r replaces) sip.Header { return sip.NewHeader("Replaces", r.String()) }

// RFC 5359 §2.16: Alice calls Bob, and Carol picks up while it rings, each at a browser or at a phone, with media before the
// answer or without. Alice keeps her dialog and her To-tag; Bob stops ringing.
func TestPickup(t *testing.T) {
	t.Parallel()
	for _, alices := range []string{atBrowser, atPhone} {
		for _, bobs := range []string{atBrowser, atPhone} {
			for _, carols := range []string{atBrowser, atPhone} {
				for _, early := range []bool{false, true} {
					name := alices + " calls " + bobs + ", " + carols + " picks up"
					if early {
						name += " early media"
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						pickedUp(t, [3]string{alices, bobs, carols}, early)
					})
				}
			}
		}
	}
}

func pickedUp(t *testing.T, at [3]string, early bool) {
	w := parties(t)
	alice, bob, carol := w.party(at[0], "alice", 440), w.party(at[1], "bob", 1000), w.party(at[2], "carol", 1500)
	alice.calls(called(at[1], "bob"))
	dialog := bob.rings(early)
	w.until("the ringing to arrive", func() bool { return w.events.ringing() })
	dialog.earlyOnly = true
	carol.calls(called(at[1], "bob"), replacing(dialog))
	bob.ended()
	alice.connected()
	carol.connected()
	carol.hears(440)
	alice.hears(1500)
	r := w.recordOf("replaced")
	if r.Transfer == nil || r.Transfer.Kind != "picked-up" || r.Transfer.Call == "" || r.Ring.IsZero() || r.Answer.IsZero() {
		t.Errorf("record %+v, transfer %+v", r, r.Transfer)
	}
	alice.hangsUp()
	carol.ended()
	if next := w.recordOf("hangup"); next.Call != r.Transfer.Call {
		t.Errorf("record of what followed: %+v", next)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// ringing says whether a callee was heard to ring.
func (l *eventLog) ringing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if e.Ringing != nil {
			return true
		}
	}
	return false
}

// Who may not pick up, or names what does not ring here, is refused, and the phone rings on (RFC 3891 §3).
func TestPickupRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, bridge: Config{Peerings: map[string]Peering{"other": {Untrusted: true}}}})
	alice := &webParty{w: w, b: w.registered("alice", wsstest.Options{})}
	stranger := w.registered("mallory", wsstest.Options{Domain: "elsewhere.example"})
	anonymous := w.browser(wsstest.Options{})
	bob := w.party(atPhone, "bob", 1000)
	alice.calls("600")
	rings := bob.rings(false)
	w.check(alice.call.Wait(w.ctx(), wsstest.Ringing))
	wrong := rings
	wrong.fromTag = "wrong"
	for name, c := range map[string]struct {
		by     *wsstest.Browser // nil: a phone
		at     *siptest.Agent
		named  replaces
		status int
	}{
		"another's tag":             {alice.b, nil, wrong, 481},
		"of another domain":         {stranger, nil, rings, 481},
		"of nobody":                 {anonymous, nil, rings, 481},
		"of another pool":           {nil, w.other, rings, 481},
		"that the gateway asked in": {nil, w.agents[0], alice.names(), 481}, // its initiator is alice (RFC 3891 §3)
	} {
		var got int
		if c.by != nil {
			third := &webParty{w: w, b: c.by}
			third.calls("600", replacing(c.named))
			got = third.refused()
		} else {
			third := &phoneParty{w: w, agent: c.at, m: w.rtp()}
			third.calls("alice", replacing(c.named))
			got = third.refused()
		}
		if got != c.status {
			t.Errorf("%s: answered %d, want %d", name, got, c.status)
		}
	}
	bob.answers()
	alice.connected()
	alice.hears(1000)
	alice.hangsUp()
	bob.ended()
}

// Who picks up gives up before it is there, or the caller does: nobody is left ringing, or alone in a call.
func TestPickupGivenUp(t *testing.T) {
	t.Parallel()
	w := parties(t)
	alice, bob, carol := &phoneParty{w: w, agent: w.agents[0], m: w.rtp()}, w.party(atBrowser, "bob", 1000), w.party(atPhone, "carol", 1500)
	alice.calls("bob")
	dialog := bob.rings(false)
	w.until("the ringing to arrive", func() bool { return w.events.ringing() })
	carol.calls("bob", replacing(dialog))
	bob.ended()
	res, err := alice.out.Final(w.ctx()) // and no ACK: the caller is not there yet
	w.check(err)
	carol.cancels()
	d, err := alice.out.Ack(res, "")
	w.check(err)
	w.phone(d, alice.m).hungUp()
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Bob's answer crosses our CANCEL: it is acknowledged and hung up, and Carol has the call.
func TestPickupCrossesAnswer(t *testing.T) {
	t.Parallel()
	w := parties(t)
	alice, carol := w.party(atBrowser, "alice", 440), w.party(atPhone, "carol", 1500)
	bob := &phoneParty{w: w, agent: w.agents[0], m: w.rtp()}
	alice.calls("phone-bob")
	dialog := bob.rings(false)
	w.until("the ringing to arrive", func() bool { return w.events.ringing() })
	carol.calls("phone-bob", replacing(dialog))
	cancel, err := bob.agent.Expect(w.ctx(), sip.CANCEL)
	w.check(err)
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	bob.answers()
	bob.ended()
	alice.connected()
	carol.connected()
	alice.hears(1500)
	carol.hears(440)
	carol.hangsUp()
	alice.ended()
}

// transferRings has alice send 600, whom she talks with, to 700, who rings, and hear so.
func (w *world) transferRings() (call *wsstest.Call, sent *phone, target *siptest.Incoming) {
	w.t.Helper()
	b := w.registered("alice", wsstest.Options{})
	call, sent = w.dialled(b, "600", w.agents[0], 1000)
	w.refer(call, "<sip:700@example.com>")
	target, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(target.Respond(siptest.Reply{Status: 180}))
	w.told(call, 180)
	return call, sent, target
}

// Alice, at a browser, sends Bob to Dave, and Carol picks up while Dave rings: Bob talks with Carol, and Alice hears of the success.
func TestPickupOfATransfer(t *testing.T) {
	t.Parallel()
	for _, at := range []string{atBrowser, atPhone} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{other: true})
			call, bob, in := w.transferRings()
			carol := w.party(at, "carol", 1500)
			carol.calls("700", replacing(namingDialog(in.Early())))
			cancel, err := w.other.Expect(w.ctx(), sip.CANCEL)
			w.check(err)
			w.check(cancel.Respond(siptest.Reply{Status: 200}))
			w.check(in.Respond(siptest.Reply{Status: 487}))
			carol.connected()
			if said := w.told(call, 200); said != "100 180 200" {
				t.Errorf("the referrer heard %s", said)
			}
			carol.hears(1000)
			bob.hears(1500)
			w.leaves(call)
			if r := w.recordOf("transferred"); r.Transfer == nil || r.Transfer.Status != 200 || r.Transfer.Call == "" {
				t.Errorf("record %+v, transfer %+v", r, r.Transfer)
			}
			if r := w.recordOf("replaced"); r.TransferOf == "" || !r.Answer.IsZero() {
				t.Errorf("record of the search %+v", r)
			}
			carol.hangsUp()
			bob.hungUp()
			w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
		})
	}
}

// Who is transferred hangs up while the target rings: that stops, and there is nothing to be picked up.
func TestPickupOfATransferThatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	_, bob, in := w.transferRings()
	named := replacing(namingDialog(in.Early()))
	w.check(bob.dialog.Bye(w.ctx()))
	cancel, err := w.other.Expect(w.ctx(), sip.CANCEL)
	w.check(err)
	carol := w.party(atPhone, "carol", 1500)
	carol.calls("700", named)
	if status := carol.refused(); status != 481 {
		t.Errorf("who picks up is answered %d", status)
	}
	w.check(cancel.Respond(siptest.Reply{Status: 200}))
	w.check(in.Respond(siptest.Reply{Status: 487}))
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}
