package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/bridge/sdp"
	"tandem/sipside/siptest"
)

// Media goes from peer to peer; the record says so and has no figures.
func TestDirectCall(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	r := w.talks().hangsUp()
	if !r.Direct || len(r.Media) != 0 || r.Reason != "hangup" || r.Status != 200 {
		t.Errorf("the record is %+v", r)
	}
	w.until("no call to run", func() bool { return w.bridge.Stats().Calls == 0 })
}

// Each side's offers reach the other, whose answers come back: hold and resume, another codec, a fax. The o= lines are each leg's own.
func TestDirectReoffers(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	id, _ := w.origin(d.caller.Remote)
	fax := "v=0\r\no=- 7 9 IN IP4 127.0.3.1\r\ns=-\r\nc=IN IP4 127.0.3.1\r\nt=0 0\r\nm=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n"
	version := "1"
	for _, c := range []struct {
		name   string
		method sip.RequestMethod
		callee bool // offers
		offer  string
		answer string
	}{
		{"hold", sip.INVITE, false, d.near.Offer("sendonly"), d.far.Offer("recvonly")},
		{"resume", sip.INVITE, false, d.near.Offer("sendrecv"), d.far.Offer("sendrecv")},
		{"hold by the callee", sip.INVITE, true, d.far.Offer("inactive"), d.near.Offer("inactive")},
		{"resume by UPDATE", sip.UPDATE, true, d.far.Offer("sendrecv"), d.near.Offer("sendrecv")},
		{"another codec", sip.INVITE, true, strings.Replace(d.far.Offer("sendrecv"), "AVP 0 8 101", "AVP 8 101", 1), d.near.Offer("sendrecv")},
		{"fax", sip.INVITE, false, fax, strings.Replace(fax, "4000", "4002", 1)},
	} {
		from, to := d.caller, d.callee
		if c.callee {
			from, to = to, from
		}
		res := w.reoffers(c.method, from, to, c.offer, c.answer)
		if c.callee {
			continue
		}
		now, later := w.origin(sdpIn(res))
		if now != id || later == version {
			t.Errorf("%s: o= has session %s, version %s after %s, %s", c.name, now, later, id, version)
		}
		version = later
	}
	w.noPorts()
	d.hangsUp()
}

// An offer that is said again, to refresh the session, is answered as before and bothers nobody; one that is refused leaves the session.
func TestDirectRefreshAndRefusal(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	offer := d.near.Offer("sendonly")
	first := w.reoffers(sip.INVITE, d.caller, d.callee, offer, d.far.Offer("recvonly"))
	again, err := d.caller.Reinvite(w.ctx(), offer)
	w.check(err)
	if sdpIn(again) != sdpIn(first) {
		t.Errorf("the refresh is answered\n%safter\n%s", sdpIn(again), sdpIn(first))
	}
	out, err := d.caller.Send(sip.INVITE, "application/sdp", d.near.Offer("sendrecv"))
	w.check(err)
	in, err := d.callee.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 488}))
	res, err := out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 488 {
		t.Errorf("answered %d", res.StatusCode)
	}
	w.reoffers(sip.INVITE, d.caller, d.callee, d.near.Offer("sendrecv"), d.far.Offer("sendrecv"))
	d.hangsUp()
}

// A re-INVITE that wants an offer gets the other side's, and its ACK brings the answer there.
func TestDirectDelayedReinvite(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	for _, pair := range [][2]*siptest.Dialog{{d.caller, d.callee}, {d.callee, d.caller}} {
		from, to := pair[0], pair[1]
		out, err := from.Send(sip.INVITE, "", "")
		w.check(err)
		in, err := to.Expect(w.ctx(), sip.INVITE)
		w.check(err)
		if in.SDP() != "" {
			t.Fatalf("an offer came:\n%s", in.Request())
		}
		offer, answer := d.far.Offer("sendrecv"), d.near.Offer("sendrecv")
		accepted := make(chan *siptest.Dialog, 1)
		w.meanwhile(func() {
			after, err := in.Accept(w.ctx(), siptest.Reply{SDP: offer})
			if err != nil {
				t.Error(err)
			}
			accepted <- after
		})
		res, err := out.Final(w.ctx())
		w.check(err)
		w.passedOn("the offer", offer, sdpIn(res))
		_, err = out.Ack(res, answer)
		w.check(err)
		w.passedOn("the answer", answer, (<-accepted).Remote)
	}
	d.hangsUp()
}

// Where both sides offer at once, each gets 491 of the other (RFC 3261 §14.1).
func TestDirectGlare(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	d := w.talks()
	out, err := d.caller.Send(sip.INVITE, "application/sdp", d.near.Offer("sendonly"))
	w.check(err)
	in, err := d.callee.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	res, err := d.callee.Reinvite(w.ctx(), d.far.Offer("sendonly"))
	w.check(err)
	if res.StatusCode != 491 {
		t.Errorf("the callee's offer is answered %d", res.StatusCode)
	}
	w.check(in.Respond(siptest.Reply{Status: 491}))
	res, err = out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 491 {
		t.Errorf("the caller's offer is answered %d", res.StatusCode)
	}
	d.hangsUp()
}

// The INVITE without an offer goes on as such; the ACK of the callee's 2xx brings the caller's answer.
func TestDirectDelayedOffer(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	near, far := w.rtp(), w.rtp()
	out := w.dials("")
	in := w.called(w.agents[0])
	if in.SDP() != "" || listHas(listed(in.Request(), "Supported"), "100rel") {
		t.Fatalf("the callee got\n%s", in.Request())
	}
	offer := far.Offer("sendrecv")
	accepted := make(chan *siptest.Dialog, 1)
	w.meanwhile(func() {
		d, err := in.Accept(w.ctx(), siptest.Reply{SDP: offer})
		if err != nil {
			t.Error(err)
		}
		accepted <- d
	})
	res, err := out.Final(w.ctx())
	w.check(err)
	w.passedOn("the offer", offer, sdpIn(res))
	answer, err := near.Answer(sdpIn(res))
	w.check(err)
	caller, err := out.Ack(res, answer)
	w.check(err)
	callee := <-accepted
	w.passedOn("the answer", answer, callee.Remote)
	w.check(far.Connect(callee.Remote))
	far.Tone(880)
	w.check(near.WaitTone(w.ctx(), 880))
	w.noPorts()
	w.reoffers(sip.INVITE, callee, caller, far.Offer("sendonly"), near.Offer("recvonly"))
	(&direct{world: w, caller: caller, callee: callee}).hangsUp()
}

// A caller that hangs up before its answer leaves the callee with an ACK that takes nothing of its offer, and BYE.
func TestDirectDelayedOfferGivenUp(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	out := w.dials("")
	in := w.called(w.agents[0])
	w.check(in.Respond(siptest.Reply{Status: 180}))
	_, err := out.Await(w.ctx(), 180)
	w.check(err)
	accepted := make(chan *siptest.Dialog, 1)
	w.meanwhile(func() {
		d, err := in.Accept(w.ctx(), siptest.Reply{SDP: w.rtp().Offer("sendrecv")})
		if err != nil {
			t.Error(err)
		}
		accepted <- d
	})
	_, err = out.Answered(w.ctx(), "") // an ACK without the answer
	w.check(err)
	callee := <-accepted
	if !strings.Contains(callee.Remote, "m=audio 0 ") {
		t.Errorf("the ACK says\n%s", callee.Remote)
	}
	bye, err := callee.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
}

// Calls that cannot be direct are relayed.
func TestDirectIsRefused(t *testing.T) {
	t.Parallel()
	sdes := sdp.Policy{Keying: sdp.SDES, Required: true}
	for name, change := range map[string]func(*conditions){
		"one side alone": func(c *conditions) { c.bridge.Peerings = map[string]Peering{"other": {Direct: true}} },
		"a recording": func(c *conditions) {
			c.routes = []route.Rule{{From: "other", To: "pbx", Record: route.Recording{Format: "wav", Consent: true}}}
			c.bridge.Recordings = t.TempDir()
		},
		"other keys": func(c *conditions) {
			c.bridge.Peerings = map[string]Peering{"other": {Direct: true}, "pbx": {Direct: true, SDP: sdes}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := directWorld(t, change)
			out := w.dials(w.rtp().Offer("sendrecv"))
			in := w.called(w.agents[0])
			if strings.Contains(in.SDP(), mediaHost) || !strings.Contains(in.SDP(), "c=IN IP4 127.0.0.1") {
				t.Errorf("the callee got\n%s", in.SDP())
			}
			w.check(in.Respond(siptest.Reply{Status: 486}))
			_, err := out.Final(w.ctx())
			w.check(err)
			if w.record().Direct {
				t.Error("the record says direct")
			}
		})
	}
}

// Where both sides insist on keys, nothing in the clear passes.
func TestDirectInsistsOnKeys(t *testing.T) {
	t.Parallel()
	sdes := Peering{Direct: true, SDP: sdp.Policy{Keying: sdp.SDES, Required: true}}
	w := directWorld(t, func(c *conditions) { c.bridge.Peerings = map[string]Peering{"other": sdes, "pbx": sdes} })
	clear := w.rtp().Offer("sendrecv")
	res, err := w.dials(clear).Final(w.ctx())
	w.check(err)
	if res.StatusCode != 488 {
		t.Errorf("answered %d", res.StatusCode)
	}
	secure := strings.Replace(clear, "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	out := w.dials(secure)
	in := w.called(w.agents[0])
	w.passedOn("the offer", secure, in.SDP())
	w.meanwhile(func() { _, _ = in.Accept(w.ctx(), siptest.Reply{SDP: clear}) })
	res, err = out.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 488 {
		t.Errorf("with an answer in the clear %d", res.StatusCode)
	}
}

// An UPDATE whose answer comes too late is refused with 504 (RFC 3311 §5.2); the side that answered is then told what holds. To one that
// takes no UPDATE it is a re-INVITE.
func TestDirectUpdateTooSlow(t *testing.T) {
	t.Parallel()
	w := directWorld(t, func(c *conditions) { c.bridge.T1 = 250 * time.Millisecond })
	near, far := w.rtp(), w.rtp()
	offer := near.Offer("sendrecv")
	out := w.dials(offer, updates())
	in := w.called(w.agents[0])
	accepted := w.accepts(in, siptest.Reply{SDP: far.Offer("sendrecv")})
	caller, err := out.Answered(w.ctx(), "")
	w.check(err)
	callee := <-accepted
	res, err := caller.Send(sip.UPDATE, "application/sdp", near.Offer("inactive"))
	w.check(err)
	late, err := callee.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	final, err := res.Final(w.ctx())
	w.check(err)
	if final.StatusCode != 504 {
		t.Errorf("UPDATE is answered %d", final.StatusCode)
	}
	_, err = late.Accept(w.ctx(), siptest.Reply{SDP: far.Offer("inactive")})
	w.check(err)
	again, err := callee.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.passedOn("what holds", offer, again.SDP())
	_, err = again.Accept(w.ctx(), siptest.Reply{SDP: far.Offer("sendrecv")})
	w.check(err)
	(&direct{world: w, caller: caller, callee: callee}).hangsUp()
}
