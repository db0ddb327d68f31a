package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// passing is a world whose pool transfers itself.
func passing() conditions {
	return conditions{other: true, bridge: Config{Peerings: map[string]Peering{"pbx": {Refer: ReferPass}}}}
}

// allowing lets an agent's 200 name REFER.
func allowing() sip.Header { return sip.NewHeader("Allow", "INVITE, ACK, CANCEL, BYE, REFER, NOTIFY") }

// report sends a NOTIFY about a REFER from a phone.
func (p *phone) report(status int, event, state string) *sip.Response {
	p.t.Helper()
	res, err := p.dialog.Request(p.ctx(), sip.NOTIFY, "message/sipfrag;version=2.0", string(sipfrag(status, "")),
		sip.NewHeader("Event", event), sip.NewHeader("Subscription-State", state))
	p.check(err)
	return res
}

// A PBX that transfers itself gets the REFER, with the other dialog named as it knows it; the browser hears its reports.
func TestReferPassed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"blind", "attended"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, passing())
			b := w.registered("alice", wsstest.Options{})
			first, bob := w.allowingCall(b, "600")
			to, want := "<sip:610@example.com>", "<sip:610@example.com>"
			if kind == "attended" {
				second, carol := w.allowingCall(b, "610")
				to = namingCall(second, "610")
				want = naming(carol.contact(), replaces{
					callID: carol.dialog.CallID(), toTag: carol.dialog.LocalTag(), fromTag: carol.dialog.RemoteTag(),
				})
			}
			done := make(chan struct{})
			w.meanwhile(func() {
				defer close(done)
				w.refer(first, to, sip.NewHeader("Referred-By", "<sip:alice@example.com>"))
			})
			in, err := bob.dialog.Expect(w.ctx(), sip.REFER)
			w.check(err)
			if got := header(in.Request(), "Refer-To"); got != want || header(in.Request(), "Referred-By") != "<sip:alice@example.com>" {
				t.Errorf("Refer-To %s, want %s, Referred-By %q", got, want, header(in.Request(), "Referred-By"))
			}
			w.check(in.Respond(siptest.Reply{Status: 202}))
			<-done
			if res := bob.report(180, "refer", "active;expires=60"); res.StatusCode != 200 {
				t.Errorf("NOTIFY answered %d", res.StatusCode)
			}
			bob.report(200, "refer", "terminated;reason=noresource")
			if said := w.told(first, 200); said != "180 200" {
				t.Errorf("the browser heard %s", said)
			}
			if res := bob.report(200, "refer", "terminated"); res.StatusCode != 481 {
				t.Errorf("a NOTIFY after the last was answered %d", res.StatusCode)
			}
			w.check(bob.dialog.Bye(w.ctx()))
			if r := w.recordOf("hangup"); r.Transfer == nil || !r.Transfer.Passed || r.Transfer.Status != 200 || r.Transfer.Kind != kind {
				t.Errorf("transfer %+v", r.Transfer)
			}
		})
	}
}

// contact is what the phone's 200 named.
func (p *phone) contact() string {
	uri := p.agents[0].URI("")
	return uri.String()
}

// allowingCall is a call from a browser to a PBX that knows REFER.
func (w *world) allowingCall(b *wsstest.Browser, user string) (*wsstest.Call, *phone) {
	w.t.Helper()
	call, err := b.Invite(w.ctx(), user, wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	m.Tone(1000)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer, Headers: []sip.Header{allowing()}})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	return call, w.phone(d, m)
}

// Where the two are not on one PBX, or the trunk knows no REFER, the gateway joins them.
func TestReferNotPassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, passing())
	b := w.registered("alice", wsstest.Options{})
	first, bob := w.allowingCall(b, "600")
	second, carol := w.dialled(b, "700", w.other, 1500)
	w.refer(first, namingCall(second, "700"))
	w.told(first, 200)
	bob.hears(1500)
	carol.hears(1000)
	w.check(second.Wait(w.ctx(), wsstest.Ended))
	w.check(first.Bye(w.ctx()))
	w.check(carol.dialog.Bye(w.ctx()))
	bob.hungUp()
}

// A REFER that cannot be followed is refused, and the call goes on.
func TestBadRefer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	call, bob := w.dialled(b, "600", w.agents[0], 1000)
	for value, status := range map[string]int{
		"": 400, "<<": 400, "<mailto:bob@example.com>": 416, "<sip:bob@example.com;method=BYE>": 501,
		"<sip:bob@example.com?Replaces=nothing>": 400, "<sip:bob@example.com?Replaces=%zz>": 400,
	} {
		var headers []sip.Header
		if value != "" {
			headers = append(headers, sip.NewHeader("Refer-To", value))
		}
		res, _ := call.Request(w.ctx(), sip.REFER, "", nil, headers...)
		if res == nil || res.StatusCode != status {
			t.Errorf("Refer-To %q: %v, want %d", value, res, status)
		}
	}
	if res := bob.report(200, "refer", "terminated"); res.StatusCode != 481 {
		t.Errorf("a NOTIFY of nothing was answered %d", res.StatusCode)
	}
	if res := bob.report(200, "presence", "active"); res.StatusCode != 489 {
		t.Errorf("a NOTIFY of another event was answered %d", res.StatusCode)
	}
	w.check(call.Bye(w.ctx()))
	bob.hungUp()
}

// A PBX refers a browser to somebody else; the browser goes on talking.
func TestTransferByPBX(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"blind", "attended", "of two others"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{other: true})
			b := w.registered("alice", wsstest.Options{})
			call, bob := w.dialled(b, "600", w.agents[0], 1000)
			to := "<sip:700@example.com>"
			var carol *phone
			switch kind {
			case "attended": // with bob's other call through the gateway, to carol's trunk
				var asked *siptest.Dialog
				asked, carol = w.consulted()
				to = naming("sip:x@example.com", replaces{callID: asked.CallID(), toTag: asked.RemoteTag(), fromTag: asked.LocalTag()})
			case "of two others":
				to = naming("sip:700@example.com", replaces{callID: "elsewhere", toTag: "a", fromTag: "b"})
			}
			res, err := bob.dialog.Request(w.ctx(), sip.REFER, "", "", sip.NewHeader("Refer-To", to))
			w.check(err)
			if res.StatusCode != 202 {
				t.Fatalf("REFER answered %d", res.StatusCode)
			}
			reports := make(chan string, 1)
			w.meanwhile(func() { reports <- bob.reports() })
			if carol == nil {
				in, err := w.other.Expect(w.ctx(), sip.INVITE)
				w.check(err)
				if got := header(in.Request(), "Replaces"); (got == "elsewhere;to-tag=a;from-tag=b") != (kind == "of two others") {
					t.Errorf("Replaces %q", got)
				}
				m := w.rtp()
				answer, err := m.Answer(in.SDP())
				w.check(err)
				m.Tone(1500)
				d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
				w.check(err)
				carol = w.phone(d, m)
			}
			if said := <-reports; said != "100 200" {
				t.Errorf("the PBX heard %q", said)
			}
			w.check(call.Media().WaitTone(w.ctx(), 1500))
			carol.hears(440)
			w.check(bob.dialog.Bye(w.ctx()))
			w.check(call.Bye(w.ctx()))
			carol.hungUp()
			w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
		})
	}
}

// reports answers the NOTIFYs about a REFER up to the last, and gives what they said.
func (p *phone) reports() string {
	var all []string
	for {
		in, err := p.dialog.Expect(p.ctx(), sip.NOTIFY)
		if err != nil {
			return err.Error()
		}
		all = append(all, decimal(parseSipfrag(in.Request().Body())))
		if err := in.Respond(siptest.Reply{Status: 200}); err != nil {
			return err.Error()
		}
		if strings.HasPrefix(header(in.Request(), "Subscription-State"), "terminated") {
			return strings.Join(all, " ")
		}
	}
}

// consulted is the answering end of a call from the PBX to the trunk; asked is the PBX's.
func (w *world) consulted() (asked *siptest.Dialog, carol *phone) {
	w.t.Helper()
	m := w.rtp()
	to := sip.Uri{Scheme: "sip", User: "700", Host: "example.com"}
	out, err := w.agents[0].Invite(siptest.Call{To: to, Target: w.sip.Addrs()[0], SDP: m.Offer("sendrecv")})
	w.check(err)
	carol = w.pickUp(w.other, 1500)
	asked, err = out.Answered(w.ctx(), "")
	w.check(err)
	w.phone(asked, m)
	return asked, carol
}
