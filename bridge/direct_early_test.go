package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
)

// reliable says that a caller takes reliable provisionals, or, required, nothing else.
func reliable(how string) sip.Header { return sip.NewHeader(how, option100rel) }

// accepts has a callee answer, while the test goes on.
func (w *world) accepts(in *siptest.Incoming, r siptest.Reply) <-chan *siptest.Dialog {
	accepted := make(chan *siptest.Dialog, 1)
	w.meanwhile(func() {
		d, err := in.Accept(w.ctx(), r)
		if err != nil {
			w.t.Error(err)
		}
		accepted <- d
	})
	return accepted
}

// pracks has a callee give a reliable provisional, and answers its PRACK.
func (w *world) pracks(in *siptest.Incoming, r siptest.Reply) <-chan *siptest.Incoming {
	acknowledged := make(chan *siptest.Incoming, 1)
	w.meanwhile(func() {
		prack, err := in.Reliably(w.ctx(), r)
		if err == nil {
			err = prack.Respond(siptest.Reply{Status: 200})
		}
		if err != nil {
			w.t.Error(err)
		}
		acknowledged <- prack
	})
	return acknowledged
}

// A 183 that is not reliable is a preview: the caller hears what the callee says, each time anew, until the 200 (RFC 3261 §13.2.1).
func TestDirectEarlyMedia(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	out := w.dials(w.rtp().Offer("sendrecv"), reliable("Supported"))
	in := w.called(w.agents[0])
	tones, person := w.rtp().Offer("sendonly"), w.rtp().Offer("sendrecv")
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: tones}))
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	w.passedOn("early media", tones, sdpIn(res))
	if header(res, "RSeq") != "" {
		t.Errorf("the preview is reliable:\n%s", res)
	}
	_, first := w.origin(sdpIn(res))
	callee := w.accepts(in, siptest.Reply{SDP: person})
	caller, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.passedOn("the answer", person, caller.Remote)
	if _, version := w.origin(caller.Remote); version == first {
		t.Errorf("the version stays %s", version)
	}
	w.noPorts()
	(&direct{world: w, caller: caller, callee: <-callee}).hangsUp()
}

// What the callee says reliably the caller gets reliably; the 200 says it again.
func TestDirectReliableEarlyMedia(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"Supported", "Require"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := directWorld(t)
			out := w.dials(w.rtp().Offer("sendrecv"), reliable(how))
			in := w.called(w.agents[0])
			answer := w.rtp().Offer("sendrecv")
			prack := w.pracks(in, siptest.Reply{Status: 183, SDP: answer})
			res, err := out.Await(w.ctx(), 183)
			w.check(err)
			w.passedOn("early media", answer, sdpIn(res))
			ok, err := out.Prack(w.ctx(), res, "")
			w.check(err)
			if <-prack; ok.StatusCode != 200 {
				t.Errorf("PRACK is answered %d", ok.StatusCode)
			}
			callee := w.accepts(in, siptest.Reply{})
			caller, err := out.Answered(w.ctx(), "")
			w.check(err)
			w.passedOn("the answer", answer, caller.Remote)
			(&direct{world: w, caller: caller, callee: <-callee}).hangsUp()
		})
	}
}

// A caller that requires reliable provisionals gets a preview reliably, too; where the 200 says otherwise, a re-INVITE follows.
func TestDirectPreviewSaidReliably(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	near := w.rtp()
	out := w.dials(near.Offer("sendrecv"), reliable("Require"))
	in := w.called(w.agents[0])
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: w.rtp().Offer("sendonly")}))
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	_, err = out.Prack(w.ctx(), res, "")
	w.check(err)
	person := w.rtp().Offer("sendrecv")
	callee := w.accepts(in, siptest.Reply{SDP: person})
	caller, err := out.Answered(w.ctx(), "")
	w.check(err)
	again, err := caller.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.passedOn("the answer", person, again.SDP())
	now := near.Offer("sendrecv")
	_, err = again.Accept(w.ctx(), siptest.Reply{SDP: now})
	w.check(err)
	d := &direct{world: w, caller: caller, callee: <-callee}
	d.hangsUp()
}

// An offer in the callee's reliable 183 is answered by the caller's PRACK, to which the callee's own waits.
func TestDirectDelayedOfferEarly(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	out := w.dials("", reliable("Supported"))
	in := w.called(w.agents[0])
	offer, answer := w.rtp().Offer("sendrecv"), w.rtp().Offer("sendrecv")
	prack := w.pracks(in, siptest.Reply{Status: 183, SDP: offer})
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	w.passedOn("the offer", offer, sdpIn(res))
	_, err = out.Prack(w.ctx(), res, answer)
	w.check(err)
	w.passedOn("the answer", answer, (<-prack).SDP())
	callee := w.accepts(in, siptest.Reply{})
	caller, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.noPorts()
	(&direct{world: w, caller: caller, callee: <-callee}).hangsUp()
}

// Offers before the answer, in UPDATE of either side and in PRACK, are the other side's to answer.
func TestDirectEarlyOffers(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	near, far := w.rtp(), w.rtp()
	out := w.dials(near.Offer("sendrecv"), reliable("Supported"), updates())
	in := w.called(w.agents[0])
	prack := w.pracks(in, siptest.Reply{Status: 183, SDP: far.Offer("sendrecv"), Headers: []sip.Header{updates()}})
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	caller, callee := out.Early(res), in.Early()

	offer, answer := near.Offer("sendrecv"), far.Offer("sendrecv")
	pracked := make(chan *sip.Response, 1)
	w.meanwhile(func() {
		ok, err := out.Prack(w.ctx(), res, offer)
		if err != nil {
			t.Error(err)
		}
		pracked <- ok
	})
	<-prack
	update, err := callee.Expect(w.ctx(), sip.UPDATE)
	w.check(err)
	w.passedOn("the offer in PRACK", offer, update.SDP())
	w.check(update.Respond(siptest.Reply{Status: 200, SDP: answer}))
	w.passedOn("its answer", answer, sdpIn(<-pracked))

	w.reoffers(sip.UPDATE, caller, callee, near.Offer("sendonly"), far.Offer("recvonly"))
	w.reoffers(sip.UPDATE, callee, caller, far.Offer("sendrecv"), near.Offer("sendrecv"))

	refused, err := caller.Send(sip.UPDATE, "application/sdp", near.Offer("inactive"))
	w.check(err)
	update, err = callee.Expect(w.ctx(), sip.UPDATE)
	w.check(err)
	w.check(update.Respond(siptest.Reply{Status: 488}))
	final, err := refused.Final(w.ctx())
	w.check(err)
	if final.StatusCode != 488 {
		t.Errorf("the refused UPDATE is answered %d", final.StatusCode)
	}

	last := near.Offer("sendonly")
	late, err := caller.Send(sip.UPDATE, "application/sdp", last)
	w.check(err)
	update, err = callee.Expect(w.ctx(), sip.UPDATE)
	w.check(err)
	established := w.accepts(in, siptest.Reply{}) // while the UPDATE is open
	<-established
	w.check(update.Respond(siptest.Reply{Status: 200, SDP: far.Offer("recvonly")}))
	_, err = late.Final(w.ctx())
	w.check(err)
	up, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.reoffers(sip.INVITE, callee, up, far.Offer("sendrecv"), near.Offer("sendrecv"))
	(&direct{world: w, caller: up, callee: callee}).hangsUp()
}

// Who takes no UPDATE, or has not acknowledged the earlier answer, gets no offer before the answer.
func TestDirectEarlyOfferRefused(t *testing.T) {
	t.Parallel()
	w := directWorld(t)
	near := w.rtp()
	out := w.dials(near.Offer("sendrecv"), updates())
	in := w.called(w.agents[0])
	w.check(in.Respond(siptest.Reply{Status: 183, SDP: w.rtp().Offer("sendrecv")}))
	res, err := out.Await(w.ctx(), 183)
	w.check(err)
	for _, c := range []struct {
		from *siptest.Dialog
		want int
	}{{out.Early(res), 491}, {in.Early(), 491}} {
		answer, err := c.from.Request(w.ctx(), sip.UPDATE, "application/sdp", near.Offer("inactive"))
		w.check(err)
		if answer.StatusCode != c.want {
			t.Errorf("UPDATE is answered %d", answer.StatusCode)
		}
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	_, err = out.Final(w.ctx())
	w.check(err)
}

// Each fork of the callee's is a dialog of its own to the caller; that which answers is the one that goes on.
func TestDirectForks(t *testing.T) {
	t.Parallel()
	for name, winner := range map[string]string{"the first": "one", "the second": "two", "one unheard of": "three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := directWorld(t)
			near := w.rtp()
			out := w.dials(near.Offer("sendrecv"), reliable("Supported"))
			in := w.called(w.agents[0])
			says := map[string]string{"one": w.rtp().Offer("sendrecv"), "two": w.rtp().Offer("sendrecv"), "three": w.rtp().Offer("sendrecv")}
			tags := map[string]string{}
			for _, tag := range []string{"one", "two"} {
				w.check(in.Respond(siptest.Reply{Status: 183, Tag: tag, SDP: says[tag]}))
				res, err := out.Await(w.ctx(), 183)
				for ; err == nil && tagOf(res.To().Params) == tags["one"]; res, err = out.Await(w.ctx(), 183) { // repeated
				}
				w.check(err)
				w.passedOn("early media of fork "+tag, says[tag], sdpIn(res))
				tags[tag] = tagOf(res.To().Params)
			}
			if tags["one"] == tags["two"] {
				t.Fatalf("both forks have the tag %s", tags["one"])
			}
			callee := w.accepts(in, siptest.Reply{Tag: winner, SDP: says[winner]})
			caller, err := out.Answered(w.ctx(), "")
			w.check(err)
			w.passedOn("the answer", says[winner], caller.Remote)
			if got := caller.RemoteTag(); got != tags[winner] && winner != "three" || winner == "three" && (got == tags["one"] || got == tags["two"]) {
				t.Errorf("the 200 has the tag %s of %v", got, tags)
			}
			d := &direct{world: w, caller: caller, callee: <-callee}
			w.reoffers(sip.INVITE, d.callee, caller, w.rtp().Offer("sendrecv"), near.Offer("sendrecv"))
			d.hangsUp()
		})
	}
}
