package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// hears checks that a tone runs each way between a browser and an agent.
func (w *world) hears(call *wsstest.Call, m *siptest.Media, tone float64) {
	w.t.Helper()
	m.Tone(tone)
	w.check(call.Media().WaitTone(w.ctx(), tone))
	w.check(m.WaitTone(w.ctx(), 440))
}

// A delayed offer: the backend's INVITE has no SDP; the browser's has our offer. The caller gets it in our 200 and answers in its ACK.
func TestDelayedOffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.registered("alice", wsstest.Options{})
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice")})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	if len(call.Invitation().Body()) == 0 {
		t.Error("the browser's INVITE has no offer")
	}
	w.check(call.Progress(w.ctx()))
	early, err := out.Await(w.ctx(), 183)
	w.check(err)
	if len(early.Body()) != 0 {
		t.Errorf("an unreliable 183 makes an offer\n%s", early.Body())
	}
	w.check(call.Answer(w.ctx()))
	res, err := out.Await(w.ctx(), 200)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(string(res.Body()))
	w.check(err)
	d, err := out.Ack(res, answer)
	w.check(err)
	w.hears(call, m, 1000)
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// The caller acknowledges provisionals: the offer goes in the 183 and its answer comes in the PRACK, so that there is early media. The
// 200 has none, for it would be another offer.
func TestDelayedOfferInProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b, m := w.registered("alice", wsstest.Options{}), w.rtp()
	out, call := w.asking(b, "Supported", "")
	w.check(call.Progress(w.ctx()))
	early, err := out.Await(w.ctx(), 183)
	w.check(err)
	answer, err := m.Answer(string(early.Body()))
	w.check(err)
	w.check(call.Answer(w.ctx())) // its 200 waits
	res, err := out.Prack(w.ctx(), early, answer)
	w.check(err)
	if res.StatusCode != 200 {
		t.Fatalf("PRACK: %d %s", res.StatusCode, header(res, "Reason"))
	}
	res, err = out.Await(w.ctx(), 200)
	w.check(err)
	if len(res.Body()) != 0 {
		t.Errorf("the 200 makes an offer\n%s", res.Body())
	}
	d, err := out.Ack(res, "")
	w.check(err)
	w.hears(call, m, 1000)
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// The caller requires 100rel and made no offer: the first provisional has ours, though the browser said nothing yet; the codec that it
// then takes comes by re-INVITE where it is another.
func TestDelayedOfferWhileRinging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b, m := w.registered("alice", wsstest.Options{}), w.rtp()
	out, call := w.asking(b, "Require", "")
	w.check(call.Ring())
	ringing, err := out.Await(w.ctx(), 180)
	w.check(err)
	if res, err := out.Early(ringing).Request(w.ctx(), sip.UPDATE, "application/sdp", m.Offer("sendrecv")); err != nil || res.StatusCode != 491 {
		t.Errorf("an offer across ours: %v %v", res, err)
	}
	answer, err := m.Answer(string(ringing.Body()))
	w.check(err)
	res, err := out.Prack(w.ctx(), ringing, answer)
	w.check(err)
	if res.StatusCode != 200 {
		t.Fatalf("PRACK: %d %s", res.StatusCode, header(res, "Reason"))
	}
	w.check(call.Answer(w.ctx()))
	d, err := out.Answered(w.ctx(), "")
	w.check(err)
	w.hears(call, m, 1000)
	w.check(d.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// A PRACK that owes an answer and has none, or none that can be taken, ends the call.
func TestDelayedOfferWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, sdp := range map[string]string{"none": "", "nonsense": "v=1\r\n", "refusal": session(1, "m=audio 0 RTP/AVP 0")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			b := w.registered("alice", wsstest.Options{})
			out, call := w.asking(b, "Supported", "")
			w.check(call.Progress(w.ctx()))
			early, err := out.Await(w.ctx(), 183)
			w.check(err)
			res, err := out.Prack(w.ctx(), early, sdp)
			w.check(err)
			final, err := out.Final(w.ctx())
			w.check(err)
			if res.StatusCode < 400 || final.StatusCode != res.StatusCode {
				t.Errorf("PRACK %d, INVITE %d", res.StatusCode, final.StatusCode)
			}
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		})
	}
}

// A browser that makes no offer: the backend's INVITE has ours, the browser's 200 too. Where it requires 100rel its 183 has it, and the
// PRACK the answer.
func TestDelayedOfferOfBrowser(t *testing.T) {
	t.Parallel()
	for _, reliable := range []bool{false, true} {
		t.Run(map[bool]string{false: "in the 200", true: "in the 183"}[reliable], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{})
			opt := wsstest.InviteOptions{NoOffer: true}
			if reliable {
				opt.Headers = []sip.Header{sip.NewHeader("Require", "100rel")}
			}
			call, in := w.ringing(opt)
			m := w.rtp()
			answer, err := m.Answer(in.SDP())
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 183, SDP: answer}))
			if reliable {
				w.hears(call, m, 1000)
			}
			d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Confirmed))
			w.hears(call, m, 1200)
			w.check(d.Bye(w.ctx()))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		})
	}
}

// A delayed offer between trunks, answered in the ACK.
func TestDelayedOfferBetweenTrunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	at := w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: "trunk", Host: at.Addr().String(), Port: int(at.Port())}
	out, err := w.agents[0].Invite(siptest.Call{To: to})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	caller, callee := w.rtp(), w.rtp()
	answer, err := callee.Answer(in.SDP())
	w.check(err)
	accepted := make(chan error, 1)
	w.meanwhile(func() {
		_, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
		accepted <- err
	})
	res, err := out.Await(w.ctx(), 200)
	w.check(err)
	w.check(<-accepted)
	answer, err = caller.Answer(string(res.Body()))
	w.check(err)
	d, err := out.Ack(res, answer)
	w.check(err)
	caller.Tone(1000)
	callee.Tone(1200)
	w.check(callee.WaitTone(w.ctx(), 1000))
	w.check(caller.WaitTone(w.ctx(), 1200))
	w.check(d.Bye(w.ctx()))
}

// A re-INVITE without an offer: the 200 makes it, the ACK answers it; where the answer changes the session the other side hears of it.
func TestDelayedReinvite(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	for _, direction := range []string{"sendrecv", "sendonly", "sendrecv"} {
		heard := len(k.call.Received())
		out, err := k.backend.Send(sip.INVITE, "", "")
		k.check(err)
		res, err := out.Await(k.ctx(), 200)
		k.check(err)
		if !strings.Contains(string(res.Body()), "a=sendrecv") { // else a hold could not be ended so
			t.Errorf("%s: offered\n%s", direction, res.Body())
		}
		answer, err := k.rtp.AnswerAs(string(res.Body()), direction)
		k.check(err)
		_, err = out.Ack(res, answer)
		k.check(err)
		if direction == "sendonly" {
			held, err := k.call.WaitReceived(k.ctx(), func(msg sip.Message) bool {
				req, ok := msg.(*sip.Request)
				return ok && req.IsInvite() && strings.Contains(string(req.Body()), "a=sendonly")
			})
			k.check(err)
			if held == nil || len(k.call.Received()) == heard {
				t.Error("the browser did not hear of the hold")
			}
			_, err = k.call.WaitReceived(k.ctx(), wsstest.Request(sip.ACK)) // the hold is settled
			k.check(err)
		}
	}
	k.hears(k.call, k.rtp, 1000)
	k.hangUp()
}

// SIP.js can send a re-INVITE without an offer, too.
func TestDelayedReinviteOfBrowser(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	k.check(k.call.ReinviteDelayed(k.ctx()))
	k.hears(k.call, k.rtp, 1200)
	k.check(k.call.Update(k.ctx()))
	k.hangUp()
}
