package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// phone is a party behind an agent: it answers offers and BYE by itself.
type phone struct {
	*world
	dialog *siptest.Dialog
	rtp    *siptest.Media
	gone   chan struct{} // closed by a BYE
}

// pickUp answers the next call of an agent with a tone.
func (w *world) pickUp(agent *siptest.Agent, tone float64) *phone {
	w.t.Helper()
	m := w.rtp()
	return w.phone(w.answered(agent, m, tone), m)
}

func (w *world) phone(d *siptest.Dialog, m *siptest.Media) *phone {
	p := &phone{w, d, m, make(chan struct{})}
	ctx := w.t.Context()
	w.meanwhile(func() {
		for {
			in, err := d.Expect(ctx, sip.INVITE)
			if err != nil {
				return
			}
			if answer, err := m.Answer(in.SDP()); err == nil {
				_, _ = in.Accept(ctx, siptest.Reply{SDP: answer})
			}
		}
	})
	w.meanwhile(func() {
		if in, err := d.Expect(ctx, sip.BYE); err == nil {
			_ = in.Respond(siptest.Reply{Status: 200})
			close(p.gone)
		}
	})
	return p
}

// hears waits for a tone.
func (p *phone) hears(tone float64) {
	p.t.Helper()
	p.check(p.rtp.WaitTone(p.ctx(), tone))
}

func (p *phone) hungUp() {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-p.ctx().Done():
		p.t.Fatal("no BYE came")
	}
}

// dialled is a call from a browser that a phone answered.
func (w *world) dialled(b *wsstest.Browser, user string, agent *siptest.Agent, tone float64) (*wsstest.Call, *phone) {
	w.t.Helper()
	call, err := b.Invite(w.ctx(), user, wsstest.InviteOptions{})
	w.check(err)
	p := w.pickUp(agent, tone)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), tone))
	p.hears(440)
	return call, p
}

// refer sends a browser's REFER.
func (w *world) refer(call *wsstest.Call, to string, more ...sip.Header) {
	w.t.Helper()
	res, err := call.Request(w.ctx(), sip.REFER, "", nil, append(more, sip.NewHeader("Refer-To", to))...)
	w.check(err)
	if res.StatusCode != 202 {
		w.t.Fatalf("REFER answered %d", res.StatusCode)
	}
}

// leaves has a referrer hang up; one that took its time (referrerGrace) finds that the gateway has.
func (w *world) leaves(call *wsstest.Call) {
	w.t.Helper()
	if err := call.Bye(w.ctx()); err != nil {
		w.check(call.Wait(w.ctx(), wsstest.Ended))
	}
}

// told waits until a browser was told an outcome, and gives all reports.
func (w *world) told(call *wsstest.Call, status int) string {
	w.t.Helper()
	_, err := call.WaitReceived(w.ctx(), func(msg sip.Message) bool {
		req, ok := msg.(*sip.Request)
		return ok && req.Method == sip.NOTIFY && parseSipfrag(req.Body()) == status
	})
	w.check(err)
	var all []string
	for _, req := range call.Received() {
		if req.Method == sip.NOTIFY {
			all = append(all, fmt.Sprint(parseSipfrag(req.Body())))
			if !strings.HasPrefix(header(req, "Event"), "refer") || !strings.HasPrefix(header(req, "Content-Type"), "message/sipfrag") || req.Contact() == nil {
				w.t.Errorf("NOTIFY\n%s", req.String())
			}
			if ends := strings.HasPrefix(header(req, "Subscription-State"), "terminated"); ends != (parseSipfrag(req.Body()) >= 200) {
				w.t.Errorf("Subscription-State %q with %q", header(req, "Subscription-State"), req.Body())
			}
		}
	}
	return strings.Join(all, " ")
}

// recordOf waits for the record of a call with a reason.
func (w *world) recordOf(reason string) Record {
	w.t.Helper()
	var found Record
	w.until("a record with "+reason, func() bool {
		w.events.mu.Lock()
		defer w.events.mu.Unlock()
		for _, e := range w.events.all {
			if e.Record != nil && e.Record.Reason == reason {
				found = *e.Record
				return true
			}
		}
		return false
	})
	return found
}

// naming a browser's other dialog in a Refer-To, as JsSIP does.
func namingCall(call *wsstest.Call, user string) string {
	final := call.Responses()[len(call.Responses())-1]
	return naming("sip:"+user+"@example.com", replaces{
		callID: call.CallID(), toTag: tagOf(final.To().Params), fromTag: tagOf(final.From().Params),
	})
}

// A browser refers its phone to another: the gateway calls that one, and both hear each other.
func TestBlindTransferByBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	w.refer(call, "<sip:700@example.com?X-Case=7>")
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if in.Request().Recipient.User != "700" || in.Request().From().Address.User != "600" || header(in.Request(), "X-Case") != "7" ||
		!strings.Contains(header(in.Request(), "Referred-By"), "alice@example.com") {
		t.Errorf("the target was invited by\n%s", in.Request().String())
	}
	w.check(in.Respond(siptest.Reply{Status: 180}))
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1500)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	carol := w.phone(d, m)
	if said := w.told(call, 200); said != "100 180 200" {
		t.Errorf("the referrer heard %s", said)
	}
	carol.hears(1000)
	bob.hears(1500)
	w.leaves(call)
	r := w.recordOf("transferred")
	if r.By != "caller" || r.Transfer == nil || r.Transfer.Kind != "blind" || r.Transfer.Status != 200 || len(r.Media) != 2 {
		t.Errorf("record %+v, transfer %+v", r, r.Transfer)
	}
	w.check(bob.dialog.Bye(w.ctx()))
	carol.hungUp()
	if next := w.recordOf("hangup"); next.TransferOf != r.Call || next.Call != r.Transfer.Call || next.By != "caller" {
		t.Errorf("record of what followed: %+v", next)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// A target that is busy leaves the two together; one who hung up before leaves nobody to talk to.
func TestBlindTransferFails(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("referrer gone %v", early), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{other: true})
			b := w.registered("alice", wsstest.Options{})
			call, bob := w.dialled(b, "600", w.agents[0], 1000)
			w.refer(call, "<sip:700@example.com>")
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if early {
				w.told(call, 100)
				w.check(call.Bye(w.ctx()))
			}
			w.check(in.Respond(siptest.Reply{Status: 486}))
			if early {
				bob.hungUp()
				if r := w.recordOf("transfer-failed"); r.Transfer.Status != 486 {
					t.Errorf("transfer %+v", r.Transfer)
				}
				return
			}
			w.told(call, 486)
			bob.hears(440)
			w.check(call.Bye(w.ctx()))
			bob.hungUp()
		})
	}
}

// A referrer that hangs up at once does not end the transfer.
func TestReferrerHangsUpEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	w.refer(call, "<sip:700@example.com>", sip.NewHeader("Refer-Sub", "false"))
	w.check(call.Bye(w.ctx()))
	carol := w.pickUp(w.other, 1500)
	carol.hears(1000)
	bob.hears(1500)
	for _, req := range call.Received() {
		if req.Method == sip.NOTIFY {
			t.Errorf("a report that nobody wanted\n%s", req.String())
		}
	}
	w.check(carol.dialog.Bye(w.ctx()))
	bob.hungUp()
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// A browser joins its two phones, which are behind two PBXs, one of them on hold.
func TestAttendedTransferByBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	b := w.registered("alice", wsstest.Options{})
	first, bob := w.dialled(b, "600", w.agents[0], 1000)
	w.check(first.Hold(w.ctx()))
	second, carol := w.dialled(b, "700", w.other, 1500)
	w.refer(first, namingCall(second, "700"))
	w.told(first, 200)
	bob.hears(1500)
	carol.hears(1000)
	w.check(second.Wait(w.ctx(), wsstest.Ended))
	w.leaves(first)
	r := w.recordOf("transferred")
	if r.Transfer == nil || r.Transfer.Kind != "attended" || r.Transfer.Call == "" || r.Transfer.Call == r.Call {
		t.Errorf("transfer %+v", r.Transfer)
	}
	w.check(bob.dialog.Bye(w.ctx()))
	carol.hungUp()
	if next := w.recordOf("hangup"); next.Call != r.Transfer.Call || len(next.Replaced) != 1 {
		t.Errorf("record of what followed: %+v", next)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Nobody disposes of a dialog that is another's, or that is gone.
func TestAttendedTransferOfAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true})
	alice, mallory := w.registered("alice", wsstest.Options{}), w.registered("mallory", wsstest.Options{})
	theirs, carol := w.dialled(alice, "700", w.other, 1500)
	own, bob := w.dialled(mallory, "600", w.agents[0], 1000)
	w.refer(own, namingCall(theirs, "700"))
	w.told(own, 481)
	w.refer(own, naming("sip:700@example.com", replaces{callID: "none", toTag: "a", fromTag: "b"}))
	w.until("the second report", func() bool {
		return len(own.Received()) > 1
	})
	carol.hears(440)
	bob.hears(440)
	w.check(theirs.Bye(w.ctx()))
	w.check(own.Bye(w.ctx()))
	carol.hungUp()
	bob.hungUp()
}
