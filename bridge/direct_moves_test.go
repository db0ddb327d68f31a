package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// local has the gateway itself transfer, and says that there are two members.
func local(c *conditions) {
	c.members = 2
	peering := Peering{Direct: true, Refer: ReferLocal}
	c.bridge.Peerings = map[string]Peering{"pbx": peering, "other": peering}
}

// phones are the ends of a direct call, which from now on answer by themselves.
func (d *direct) phones() (caller, callee *phone) {
	return d.phone(d.caller, d.near), d.phone(d.callee, d.far)
}

// refers has an end of a call send a REFER, whose reports are confirmed.
func (p *phone) refers(to string) {
	p.t.Helper()
	p.meanwhile(func() {
		for {
			in, err := p.dialog.Expect(p.t.Context(), sip.NOTIFY)
			if err != nil || in.Respond(siptest.Reply{Status: 200}) != nil {
				return
			}
		}
	})
	res, err := p.dialog.Request(p.ctx(), sip.REFER, "", "", sip.NewHeader("Refer-To", to))
	p.check(err)
	if res.StatusCode != 202 {
		p.t.Fatalf("REFER answered %d", res.StatusCode)
	}
}

// Whom the gateway transfers it relays from then on: the two ends do not know each other's session.
func TestDirectCallIsTransferred(t *testing.T) {
	t.Parallel()
	w := directWorld(t, local)
	d := w.talks()
	id, _ := w.origin(d.caller.Remote)
	alice, bob := d.phones()
	bob.refers("<sip:700@example.com>")
	d.far.Stop() // the referrer talks to nobody any more
	carol := w.pickUp(w.agents[1], 1500)
	alice.hears(1500)
	carol.hears(440)
	bob.hungUp()
	again, err := alice.dialog.Request(w.ctx(), sip.OPTIONS, "", "")
	w.check(err)
	if again.StatusCode != 200 || w.media.Stats().PortsUsed == 0 || id == "" {
		t.Errorf("OPTIONS %d, %d ports", again.StatusCode, w.media.Stats().PortsUsed)
	}
	if r := w.recordOf("transferred"); !r.Direct || r.Transfer.Status != 200 {
		t.Errorf("the record is %+v", r)
	}
	w.check(alice.dialog.Bye(w.ctx()))
	carol.hungUp()
	if r := w.recordOf("hangup"); r.Direct || len(r.Media) != 2 {
		t.Errorf("the record of what followed is %+v", r)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Two direct calls of one end are joined.
func TestDirectCallsAreJoined(t *testing.T) {
	t.Parallel()
	w := directWorld(t, local)
	alice, bob := w.talks().phones()
	second := &direct{world: w, near: w.rtp(), far: w.rtp()}
	out := w.dials(second.near.Offer("sendrecv"))
	in := w.called(w.agents[1])
	answer, err := second.far.Answer(in.SDP())
	w.check(err)
	second.callee, err = in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	second.caller, err = out.Answered(w.ctx(), "")
	w.check(err)
	second.far.Tone(1500)
	mine, carol := second.phones()
	alice.refers(naming("sip:700@example.com", replaces{
		callID: mine.dialog.CallID(), toTag: mine.dialog.RemoteTag(), fromTag: mine.dialog.LocalTag(),
	}))
	alice.rtp.Stop()
	mine.rtp.Stop()
	bob.hears(1500)
	carol.hears(880)
	alice.hungUp()
	mine.hungUp()
	w.check(bob.dialog.Bye(w.ctx()))
	carol.hungUp()
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// A direct call that rings is picked up elsewhere, with early media or without.
func TestDirectCallIsPickedUp(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		w := directWorld(t, local)
		near := w.rtp()
		out := w.dials(near.Offer("sendrecv"))
		in := w.called(w.agents[0])
		reply := siptest.Reply{Status: 180}
		if early {
			reply = siptest.Reply{Status: 183, SDP: w.rtp().Offer("sendonly")}
		}
		w.check(in.Respond(reply))
		_, err := out.Await(w.ctx(), reply.Status)
		w.check(err)
		m := w.rtp()
		req := in.Request()
		carol, err := w.agents[1].Invite(siptest.Call{
			To: req.To().Address, Target: w.sip.Addrs()[0], SDP: m.Offer("sendrecv"), Headers: []sip.Header{replacing(replaces{
				callID: req.CallID().Value(), toTag: tagOf(req.From().Params), fromTag: in.Tag(),
			})},
		})
		w.check(err)
		d, err := out.Answered(w.ctx(), "")
		w.check(err)
		w.check(near.Connect(d.Remote))
		near.Tone(440)
		alice := w.phone(d, near)
		up, err := carol.Answered(w.ctx(), "")
		w.check(err)
		w.check(m.Connect(up.Remote))
		m.Tone(1500)
		picker := w.phone(up, m)
		alice.hears(1500)
		picker.hears(440)
		w.check(alice.dialog.Bye(w.ctx()))
		picker.hungUp()
	}
}

// A redirection to somebody who is not direct makes the call a relayed one; after early media it leads nowhere.
func TestDirectCallIsRedirected(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		w := directWorld(t, func(c *conditions) {
			c.routes = append([]route.Rule{{From: "other", Prefix: []string{"8"}, To: route.Browsers}}, c.routes...)
		})
		w.registered("801", wsstest.Options{})
		near := w.rtp()
		out := w.dials(near.Offer("sendrecv"))
		in := w.called(w.agents[0])
		if early {
			w.check(in.Respond(siptest.Reply{Status: 183, SDP: w.rtp().Offer("sendrecv")}))
			_, err := out.Await(w.ctx(), 183)
			w.check(err)
		}
		w.check(in.Respond(movedTo("<sip:801@example.com>")))
		if early {
			res, err := out.Final(w.ctx())
			w.check(err)
			if res.StatusCode != 480 {
				t.Errorf("answered %d", res.StatusCode)
			}
			continue
		}
		call, err := w.browsers[0].NextCall(w.ctx())
		w.check(err)
		w.check(call.Answer(w.ctx()))
		d, err := out.Answered(w.ctx(), "")
		w.check(err)
		w.check(near.Connect(d.Remote))
		near.Tone(880)
		w.check(call.Media().WaitTone(w.ctx(), 880))
		w.check(d.Bye(w.ctx()))
		if w.record().Direct {
			t.Error("the record says direct")
		}
	}
}

// A member that fails is followed by the next one, which gets the caller's offer as it was.
func TestDirectFailover(t *testing.T) {
	t.Parallel()
	w := directWorld(t, func(c *conditions) { c.members, c.order = 2, sipside.Priority })
	offer := w.rtp().Offer("sendrecv")
	out := w.dials(offer)
	first := w.called(w.agents[0])
	w.check(first.Respond(siptest.Reply{Status: 503}))
	in := w.called(w.agents[1])
	w.passedOn("the offer", offer, in.SDP())
	answer := w.rtp().Offer("sendrecv")
	callee := w.accepts(in, siptest.Reply{SDP: answer})
	caller, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.passedOn("the answer", answer, caller.Remote)
	(&direct{world: w, caller: caller, callee: <-callee}).hangsUp()
}

// A direct call is written down and taken up again; its session goes on where it was.
func TestDirectCallIsRestored(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	id := w.events.call()
	w.check(w.bridge.Restore(w.takenDown()))
	was, version := w.origin(d.caller.Remote)
	res := w.reoffers(sip.INVITE, d.caller, d.callee, d.near.Offer("sendonly"), d.far.Offer("recvonly"))
	if now, later := w.origin(sdpIn(res)); now != was || later == version {
		t.Errorf("o= has %s, %s after %s, %s", now, later, was, version)
	}
	w.noPorts()
	if r := d.hangsUp(); !r.Direct || r.Call != id {
		t.Errorf("the record is %+v", r)
	}
}

// A digit in an INFO passes as it is, for its media is not here.
func TestDirectInfo(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	res, err := d.caller.Request(w.ctx(), sip.INFO, "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")
	w.check(err)
	in, err := d.callee.Expect(w.ctx(), sip.INFO)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 200}))
	if body := string(in.Request().Body()); res.StatusCode != 200 || !strings.Contains(body, "Signal=5") {
		t.Errorf("answered %d; the callee got %q", res.StatusCode, body)
	}
	d.hangsUp()
}
