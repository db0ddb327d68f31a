package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// The races of RFC 5407 in which the gateway is the one that is called: its 200 is out and the caller's ACK is not there yet.

// unacknowledged is a phone's call that a browser answered; the phone has the 200, of which it said nothing yet.
func unacknowledged(t *testing.T) (w *world, alice *phoneParty, bob *webParty, res *sip.Response) {
	w = parties(t)
	alice = &phoneParty{w: w, agent: w.agents[0], m: w.rtp()}
	bob = &webParty{w: w, b: w.toned("bob", 1000)}
	alice.calls("bob")
	bob.rings(false)
	answered := make(chan error, 1)
	w.meanwhile(func() { answered <- bob.call.Answer(w.ctx()) })
	res, err := alice.out.Final(w.ctx())
	w.check(err)
	w.check(<-answered) // the gateway's ACK does not wait for the caller's
	if res.StatusCode != 200 {
		t.Fatalf("answered %d", res.StatusCode)
	}
	return w, alice, bob, res
}

// over waits for the end of everything.
func (w *world) over() {
	w.t.Helper()
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// RFC 5407 §3.2.4: the callee hangs up before the caller's ACK; our BYE waits for it (RFC 3261 §15).
func TestHangUpBeforeTheAck(t *testing.T) {
	t.Parallel()
	w, alice, bob, res := unacknowledged(t)
	bob.hangsUp()
	w.until("the call to end", func() bool { return w.events.record() != nil })
	d, err := alice.out.Ack(res, "")
	w.check(err)
	p := w.phone(d, alice.m)
	p.hungUp()
	w.over()
}

// RFC 5407 §3.1.3 and §3.1.6: the caller's BYE crosses our 200, or overtakes its ACK.
func TestByeBeforeTheAck(t *testing.T) {
	t.Parallel()
	w, alice, bob, res := unacknowledged(t)
	w.check(alice.out.Early(res).Bye(w.ctx()))
	bob.ended()
	w.over()
}

// RFC 3261 §15 lets a caller end an early dialog by BYE: the INVITE gets its 487, and the callee stops ringing.
func TestByeWhileRinging(t *testing.T) {
	t.Parallel()
	for _, bobs := range []string{atBrowser, atPhone} {
		w := parties(t)
		alice := &phoneParty{w: w, agent: w.agents[0], m: w.rtp()}
		bob := w.party(bobs, "bob", 1000)
		alice.calls(called(bobs, "bob"))
		bob.rings(false)
		ringing, err := alice.out.Await(w.ctx(), 180)
		w.check(err)
		done := make(chan struct{})
		w.meanwhile(func() { defer close(done); bob.ended() })
		w.check(alice.out.Early(ringing).Bye(w.ctx()))
		if status := alice.refused(); status != 487 {
			t.Errorf("the INVITE is answered %d after its BYE", status)
		}
		<-done
		w.over()
	}
}

// talksAtLast acknowledges an answer, and the call is as any other.
func (p *phoneParty) talksAtLast(res *sip.Response, answer string, with anyone) {
	w := p.w
	w.t.Helper()
	d, err := p.out.Ack(res, answer)
	w.check(err)
	p.up = w.phone(d, p.m)
	p.hears(1000)
	p.hangsUp()
	with.ended()
	w.over()
}

// RFC 5407 §3.1.4: a re-INVITE overtakes the ACK. It is answered, or asked for again; the call goes on.
func TestReinviteBeforeTheAck(t *testing.T) {
	t.Parallel()
	w, alice, bob, res := unacknowledged(t)
	w.check(alice.m.Connect(sdpOf(res)))
	again, err := alice.out.Early(res).Reinvite(w.ctx(), alice.m.Offer("sendrecv"))
	w.check(err)
	if again.StatusCode != 200 && again.StatusCode != 491 {
		t.Errorf("the re-INVITE is answered %d", again.StatusCode)
	}
	alice.talksAtLast(res, "", bob)
}

// RFC 5407 §3.1.5: the same where the ACK owes the answer to our offer: it has to come first.
func TestReinviteBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := parties(t)
	alice, bob := &phoneParty{w: w, agent: w.agents[0], m: w.rtp()}, w.party(atBrowser, "bob", 1000)
	var err error
	alice.out, err = alice.agent.Invite(siptest.Call{To: w.toBrowser("bob"), Target: w.sip.Addrs()[0]})
	w.check(err)
	bob.rings(false)
	bob.answers()
	res, err := alice.out.Final(w.ctx())
	w.check(err)
	again, err := alice.out.Early(res).Reinvite(w.ctx(), w.rtp().Offer("sendrecv"))
	w.check(err)
	if again.StatusCode != 491 && again.StatusCode != 500 {
		t.Errorf("the re-INVITE is answered %d", again.StatusCode)
	}
	answer, err := alice.m.Answer(sdpOf(res))
	w.check(err)
	alice.talksAtLast(res, answer, bob)
}

// RFC 5407 §3.1.2: a CANCEL that comes after the 200 changes nothing (RFC 3261 §9.2).
func TestCancelAfterTheAnswer(t *testing.T) {
	t.Parallel()
	w := parties(t)
	alice := &webParty{w: w, b: w.toned("alice", 440)}
	bob := w.party(atPhone, "bob", 1000)
	w.talk(alice, bob, "phone-bob")
	invite := alice.call.Invitation()
	cancel := sip.NewRequest(sip.CANCEL, invite.Recipient)
	for _, name := range []string{"Via", "Max-Forwards", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, cancel)
	}
	cancel.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	res, err := alice.b.Do(w.ctx(), cancel)
	w.check(err)
	if res.StatusCode != 200 && res.StatusCode != 481 {
		t.Errorf("the CANCEL is answered %d", res.StatusCode)
	}
	alice.hears(1000)
	bob.hears(440)
	alice.hangsUp()
	bob.ended()
	w.over()
}

// RFC 5407 §3.2.2 and §3.3.3: a re-INVITE, an UPDATE and a REFER cross our BYE: 481, and the BYE ends the call all the same.
func TestReferCrossesBye(t *testing.T) {
	t.Parallel()
	w := parties(t)
	alice := &webParty{w: w, b: w.toned("alice", 440)}
	alice.calls("phone-bob")
	d := w.answered(w.agents[0], w.rtp(), 1000)
	alice.connected()
	alice.hangsUp()
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	res, err := d.Request(w.ctx(), sip.REFER, "", "", sip.NewHeader("Refer-To", "<sip:phone-carol@example.com>"))
	w.check(err)
	if res.StatusCode != 481 {
		t.Errorf("the REFER is answered %d", res.StatusCode)
	}
	for _, method := range []sip.RequestMethod{sip.INVITE, sip.UPDATE} {
		res, err := d.Request(w.ctx(), method, "application/sdp", w.rtp().Offer("sendonly"))
		w.check(err)
		if res.StatusCode != 481 {
			t.Errorf("%s is answered %d", method, res.StatusCode)
		}
	}
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.over()
}

// RFC 5407 §3.3.1: both sides' re-INVITEs cross at the gateway, from whichever kinds of parties: neither call is lost, and both
// hear each other in the end.
func TestReinvitesCross(t *testing.T) {
	t.Parallel()
	pairs(t, func(t *testing.T, at [2]string) {
		w := parties(t)
		w.crossing = true
		alice, bob := w.party(at[0], "alice", 440), w.party(at[1], "bob", 1000)
		w.talk(alice, bob, called(at[1], "bob"))
		bob.hears(440)
		done := make(chan struct{})
		w.meanwhile(func() { defer close(done); alice.refreshes() })
		bob.refreshes()
		<-done
		alice.hears(1000)
		bob.hears(440)
		alice.hangsUp()
		bob.ended()
		w.over()
	})
}

// refreshes sends a re-INVITE with other news; where it crosses another it may be refused with 491 (RFC 3261 §14.2).
func (p *webParty) refreshes() {
	err := p.call.Reinvite(p.w.ctx(), wsstest.Change{RestartICE: true})
	p.w.check(err)
}

func (p *phoneParty) refreshes() {
	res, err := p.up.dialog.Reinvite(p.w.ctx(), p.m.Offer("sendrecv"))
	if err != nil || res.StatusCode != 200 && res.StatusCode != 491 && res.StatusCode != 500 {
		p.w.t.Errorf("the crossing re-INVITE: %v, %v", res, err)
	}
}
