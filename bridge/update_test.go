package bridge

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// An UPDATE with an offer that crosses one of ours gets 491; one without an offer is answered all the same (RFC 3311 §5.2).
func TestUpdateCrossesOurOffer(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	held := make(chan error, 1)
	k.meanwhile(func() { held <- k.call.Hold(k.ctx()) })
	ours, err := k.backend.Expect(k.ctx(), sip.INVITE)
	k.check(err)
	res, err := k.backend.Request(k.ctx(), sip.UPDATE, "application/sdp", k.rtp.Offer("sendrecv"))
	k.check(err)
	if res.StatusCode != 491 {
		t.Errorf("an offer: %d", res.StatusCode)
	}
	if res, err = k.backend.Request(k.ctx(), sip.UPDATE, "", ""); err != nil || res.StatusCode != 200 {
		t.Errorf("a session refresh: %v %v", res, err)
	}
	answer, err := k.rtp.Answer(ours.SDP())
	k.check(err)
	_, err = ours.Accept(k.ctx(), siptest.Reply{SDP: answer})
	k.check(err)
	k.check(<-held)
	k.hangUp()
}

// slow is a browser that answers an offer when it is told to; nothing listens behind it.
type slow struct {
	wsstest.Fixed
	asked, gate chan struct{}
}

func newSlow() *slow {
	return &slow{Fixed: wsstest.FixedAudio(), asked: make(chan struct{}, 9), gate: make(chan struct{})}
}

func (s *slow) Answer(ctx context.Context, offer []byte) ([]byte, error) {
	s.asked <- struct{}{}
	select {
	case <-s.gate:
	case <-time.After(time.Minute): // the end of the test
	}
	return s.Fixed.Answer(ctx, offer)
}

// slowTalk is a call of such a browser's.
func slowTalk(t *testing.T, with conditions) (w *world, s *slow, call *wsstest.Call, d *siptest.Dialog, m *siptest.Media) {
	w, s = newWorld(t, with), newSlow()
	call, in := w.ringing(wsstest.InviteOptions{Session: s})
	m = w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	d, err = in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.until("the ACK", func() bool { return w.bridge.Calls(1)[0].State == "up" })
	return w, s, call, d, m
}

// An UPDATE with an offer that crosses an earlier one of the same peer's gets 500 with Retry-After.
func TestUpdateCrossesItsOwn(t *testing.T) {
	t.Parallel()
	w, s, _, d, m := slowTalk(t, conditions{})
	first, err := d.Send(sip.UPDATE, "application/sdp", m.Offer("sendonly"))
	w.check(err)
	<-s.asked
	res, err := d.Request(w.ctx(), sip.UPDATE, "application/sdp", m.Offer("sendrecv"))
	w.check(err)
	wait, bad := strconv.Atoi(header(res, "Retry-After"))
	if res.StatusCode != 500 || bad != nil || wait < 0 || wait > 10 {
		t.Errorf("%d, Retry-After %q", res.StatusCode, header(res, "Retry-After"))
	}
	close(s.gate)
	res, err = first.Final(w.ctx())
	w.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Errorf("the first: %d\n%s", res.StatusCode, res.Body())
	}
	w.check(d.Bye(w.ctx()))
}

// An UPDATE may not wait for a user: while the browser takes its time it is answered by what the browser said before.
func TestUpdateDoesNotWait(t *testing.T) {
	t.Parallel()
	w, s, call, d, m := slowTalk(t, conditions{bridge: Config{T1: 20 * time.Millisecond}})
	res, err := d.Request(w.ctx(), sip.UPDATE, "application/sdp", m.Offer("sendonly"))
	w.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Errorf("%d\n%s", res.StatusCode, res.Body())
	}
	<-s.asked
	close(s.gate)
	res, err = d.Request(w.ctx(), sip.UPDATE, "application/sdp", m.Offer("sendrecv"))
	w.check(err)
	if res.StatusCode != 200 {
		t.Errorf("the next: %d", res.StatusCode)
	}
	if call.State() != wsstest.Confirmed {
		t.Errorf("the call is %v", call.State())
	}
	w.check(d.Bye(w.ctx()))
}

// A backend that allows no UPDATE is refreshed by a re-INVITE, and one that answers it with a reliable 183 gets the PRACK. So is one that
// says that it allows UPDATE, and refuses it.
func TestRefreshByReinvite(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"plain", "reliable", "refuses UPDATE"} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, wsstest.Options{})
			c := k.bridge.calls.all()[0]
			hear(c, func() {
				c.callee.agreeTimer(refreshed("1800;refresher=uac"))
				if peer == "refuses UPDATE" {
					c.callee.dialog.Allow = "INVITE, UPDATE"
				}
				c.callee.refresh()
			})
			if peer == "refuses UPDATE" {
				update, err := k.backend.Expect(k.ctx(), sip.UPDATE)
				k.check(err)
				k.check(update.Respond(siptest.Reply{Status: 488}))
				k.until("the refusal", func() (heard bool) {
					hear(c, func() { heard = c.callee.timer.noUpdate })
					return heard
				})
				hear(c, c.callee.refresh)
			}
			in, err := k.backend.Expect(k.ctx(), sip.INVITE)
			k.check(err)
			answer, err := k.rtp.Answer(in.SDP())
			k.check(err)
			last := siptest.Reply{SDP: answer}
			if peer == "reliable" {
				k.pracked(in, siptest.Reply{Status: 183, SDP: answer})
				last.SDP = ""
			}
			_, err = in.Accept(k.ctx(), last)
			k.check(err)
			k.hears(k.call, k.rtp, 1200)
			k.hangUp()
		})
	}
}

// A backend that still deals with another offer says 491, or 500 with Retry-After: the browser's hold is answered here, and goes there
// again.
func TestOfferAgainAfterGlare(t *testing.T) {
	t.Parallel()
	for _, r := range []siptest.Reply{{Status: 491}, {Status: 500, Headers: []sip.Header{sip.NewHeader("Retry-After", "3")}}} {
		t.Run(strconv.Itoa(r.Status), func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, wsstest.Options{})
			held := make(chan error, 1)
			k.meanwhile(func() { held <- k.call.Hold(k.ctx()) })
			in, err := k.backend.Expect(k.ctx(), sip.INVITE)
			k.check(err)
			k.check(in.Respond(r))
			k.check(<-held)
			in, err = k.backend.Expect(k.ctx(), sip.INVITE)
			k.check(err)
			if !strings.Contains(in.SDP(), "a=sendonly") {
				t.Errorf("offered again\n%s", in.SDP())
			}
			answer, err := k.rtp.Answer(in.SDP())
			k.check(err)
			_, err = in.Accept(k.ctx(), siptest.Reply{SDP: answer})
			k.check(err)
			k.hangUp()
		})
	}
}

// Glare ends some time, even with a peer that says so for ever.
func TestGlareEnds(t *testing.T) {
	t.Parallel()
	l, res := &leg{}, sip.NewResponse(491, "Request Pending")
	for i := range maxGlares {
		if !l.crossed(res) {
			t.Fatalf("no further try after %d", i)
		}
	}
	if l.crossed(res) || (&leg{}).crossed(sip.NewResponse(500, "Server Internal Error")) {
		t.Error("tried for ever, or for a 500 that is no glare")
	}
}

// A browser whose session is ours to refresh hears a re-INVITE, whatever its Allow says: SIP.js knows no UPDATE.
func TestBrowserIsRefreshedByReinvite(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	c := k.bridge.calls.all()[0]
	hear(c, func() {
		c.caller.timer.Interval, c.caller.timer.Refresher = minSessionExpires, "us"
		c.caller.refresh()
	})
	again, err := k.call.WaitReceived(k.ctx(), func(msg sip.Message) bool {
		req, ok := msg.(*sip.Request)
		return ok && (req.IsInvite() || req.Method == sip.UPDATE)
	})
	k.check(err)
	if !again.IsInvite() {
		t.Errorf("refreshed by %s", again.Method)
	}
	_, err = k.call.WaitReceived(k.ctx(), wsstest.Request(sip.ACK))
	k.check(err)
	k.hears(k.call, k.rtp, 1200)
	k.hangUp()
}
