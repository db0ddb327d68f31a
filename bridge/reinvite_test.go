package bridge

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

func decimal(n int) string { return strconv.Itoa(n) }

// talk is an established call from a browser to an agent with tones both ways.
type talk struct {
	*world
	browser *wsstest.Browser
	call    *wsstest.Call
	backend *siptest.Dialog
	rtp     *siptest.Media
}

func newTalk(t *testing.T, with conditions, opt wsstest.Options) *talk {
	t.Helper()
	w := newWorld(t, with)
	b := w.registered("alice", opt)
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	m := w.rtp()
	d := w.answered(w.agents[0], m, 1000)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(m.WaitTone(w.ctx(), 440))
	return &talk{w, b, call, d, m}
}

// answerReinvite serves the next re-INVITE at the agent and gives its offer.
func (k *talk) answerReinvite(offers chan<- string) {
	in, err := k.backend.Expect(k.ctx(), sip.INVITE)
	if err != nil {
		offers <- err.Error()
		return
	}
	offers <- in.SDP()
	if answer, err := k.rtp.Answer(in.SDP()); err == nil {
		_, _ = in.Accept(k.ctx(), siptest.Reply{SDP: answer})
	}
}

// hangUp ends the call from the browser and answers the backend's BYE.
func (k *talk) hangUp() {
	k.t.Helper()
	done := make(chan struct{})
	k.meanwhile(func() {
		defer close(done)
		if bye, err := k.backend.Expect(k.ctx(), sip.BYE); err == nil {
			_ = bye.Respond(siptest.Reply{Status: 200})
		}
	})
	k.check(k.call.Bye(k.ctx()))
	<-done
}

// The browser holds and resumes: the backend hears it, and music runs only one way meanwhile.
func TestBrowserHolds(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	offers := make(chan string, 1)
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Hold(k.ctx()))
	if offer := <-offers; !strings.Contains(offer, "a=sendonly") {
		t.Errorf("the backend was offered\n%s", offer)
	}
	k.check(k.call.Media().WaitQuiet(k.ctx(), 300*time.Millisecond))
	k.meanwhile(func() { k.answerReinvite(offers) })
	k.check(k.call.Resume(k.ctx()))
	if offer := <-offers; strings.Contains(offer, "a=sendonly") || strings.Contains(offer, "a=inactive") {
		t.Errorf("the backend was offered\n%s", offer)
	}
	k.rtp.Tone(1000)
	k.check(k.call.Media().WaitTone(k.ctx(), 1000))
	k.check(k.rtp.WaitTone(k.ctx(), 440))
	k.hangUp()
}

// The backend holds and resumes: the browser hears it.
func TestBackendHolds(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	for _, step := range []struct{ direction, answer string }{{"sendonly", "recvonly"}, {"sendrecv", "sendrecv"}} {
		res, err := k.backend.Reinvite(k.ctx(), k.rtp.Offer(step.direction))
		k.check(err)
		if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a="+step.answer) {
			t.Fatalf("%s: %d\n%s", step.direction, res.StatusCode, res.Body())
		}
		invite, err := k.call.WaitReceived(k.ctx(), func(msg sip.Message) bool {
			req, ok := msg.(*sip.Request)
			return ok && req.Method == sip.INVITE && strings.Contains(string(req.Body()), "a="+step.direction)
		})
		k.check(err)
		if strings.Contains(string(invite.Body()), "a=setup:passive") == strings.Contains(string(invite.Body()), "a=setup:active") {
			t.Errorf("the role is not kept in\n%s", invite.Body())
		}
	}
	k.check(k.call.Media().WaitTone(k.ctx(), 1000))
	k.check(k.rtp.WaitTone(k.ctx(), 440))
	k.hangUp()
}

// The backend refuses the browser's hold: the browser is answered with unchanged media all the same.
func TestRefusedHoldIsAnsweredHere(t *testing.T) {
	t.Parallel()
	for _, status := range []int{488, 500, 503, 491} {
		t.Run(phrase(status), func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, conditions{}, wsstest.Options{})
			k.meanwhile(func() {
				in, err := k.backend.Expect(k.ctx(), sip.INVITE)
				if err == nil {
					_ = in.Respond(siptest.Reply{Status: status})
				}
			})
			k.check(k.call.Hold(k.ctx()))
			if k.call.State() != wsstest.Confirmed {
				t.Errorf("the browser's call is %v", k.call.State())
			}
			k.check(k.backend.Bye(k.ctx()))
			k.check(k.call.Wait(k.ctx(), wsstest.Ended))
		})
	}
}

// ICE restart, session refresh and INFO stay on the browser's leg.
func TestBrowsersOwnBusiness(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{timers: single()}, wsstest.Options{})
	k.check(k.call.RestartICE(k.ctx()))
	k.check(k.call.Update(k.ctx()))
	res, err := k.call.Request(k.ctx(), sip.OPTIONS, "", nil)
	k.check(err)
	if res.StatusCode != 200 {
		t.Errorf("OPTIONS: %d", res.StatusCode)
	}
	k.check(k.call.Media().WaitTone(k.ctx(), 1000))
	if ladder := k.agents[0].Ladder(); strings.Count(ladder, "INVITE sip:") != 1 || strings.Contains(ladder, "UPDATE") {
		t.Error("the backend heard of it")
	}
	k.hangUp()
}

// A digit by INFO becomes RFC 4733 towards the backend.
func TestInfoBecomesTelephoneEvent(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	for _, key := range []byte("59#") {
		k.check(k.call.SendInfo(k.ctx(), key))
	}
	k.check(k.rtp.WaitDigits(k.ctx(), "59#"))
	for _, bad := range []struct {
		kind, body string
		status     int
	}{
		{"application/dtmf-relay", "Signal=x\r\n", 400},
		{"application/media_control+xml", "<x/>", 415},
	} {
		res, _ := k.call.Request(k.ctx(), sip.INFO, bad.kind, []byte(bad.body))
		if res == nil || res.StatusCode != bad.status {
			t.Errorf("%s: %v, want %d", bad.kind, res, bad.status)
		}
	}
	k.hangUp()
}

// A refresh by the backend, UPDATE without or re-INVITE with the same offer, does not reach the browser.
func TestBackendRefreshStaysHere(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	res, err := k.backend.Request(k.ctx(), sip.UPDATE, "", "", sip.NewHeader("Session-Expires", "1800;refresher=uac"))
	k.check(err)
	if res.StatusCode != 200 || header(res, "Session-Expires") != "1800;refresher=uac" {
		t.Errorf("%d, Session-Expires %q", res.StatusCode, header(res, "Session-Expires"))
	}
	res, err = k.backend.Request(k.ctx(), sip.UPDATE, "", "", sip.NewHeader("Session-Expires", "60"))
	k.check(err)
	if res.StatusCode != 422 || header(res, "Min-SE") != "90" {
		t.Errorf("a short interval: %d, Min-SE %q", res.StatusCode, header(res, "Min-SE"))
	}
	_, err = k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendrecv")) // brings codecs that the answer of the call did not name
	k.check(err)
	heard := k.reoffers() // the ACK of the first may be on its way still
	res, err = k.backend.Reinvite(k.ctx(), k.rtp.Offer("sendrecv"))
	k.check(err)
	if now := k.reoffers(); res.StatusCode != 200 || now != heard {
		t.Errorf("%d; the browser heard %d offers before and %d after", res.StatusCode, heard, now)
	}
	k.hangUp()
}

// Both sides hold at once: the browser's is never refused, and none waits for ever.
func TestBothHoldAtOnce(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	k.crossing = true
	invite, err := k.backend.Send(sip.INVITE, "application/sdp", k.rtp.Offer("sendonly"))
	k.check(err)
	offers := make(chan string, 8)
	serving, stop := context.WithCancel(k.ctx())
	defer stop()
	k.meanwhile(func() {
		for serving.Err() == nil {
			in, err := k.backend.Expect(serving, sip.INVITE)
			if err != nil {
				return
			}
			offers <- in.SDP()
			if answer, err := k.rtp.Answer(in.SDP()); err == nil {
				_, _ = in.Accept(serving, siptest.Reply{SDP: answer})
			}
		}
	})
	var refused *wsstest.StatusError
	if err := k.call.Hold(k.ctx()); errors.As(err, &refused) { // another error: ours was there first, and the page could not offer
		t.Errorf("the browser's hold was refused: %v", err)
	}
	res, err := invite.Final(k.ctx())
	k.check(err)
	switch res.StatusCode {
	case 200:
		_, err = invite.Ack(res, "")
		k.check(err)
	case 491: // a backend knows glare (RFC 3261 §14.1)
	default:
		t.Fatalf("the backend's hold: %d", res.StatusCode)
	}
	if k.call.State() != wsstest.Confirmed || k.bridge.Stats().Calls != 1 {
		t.Fatal("the call ended")
	}
}

// An UPDATE with an offer from a backend reaches a browser as a re-INVITE, never as an UPDATE.
func TestUpdateWithOffer(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{Allow: "ACK, CANCEL, BYE, INVITE, INFO, NOTIFY, OPTIONS, PRACK"})
	res, err := k.backend.Request(k.ctx(), sip.UPDATE, "application/sdp", k.rtp.Offer("sendonly"))
	k.check(err)
	if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Errorf("%d\n%s", res.StatusCode, res.Body())
	}
	_, err = k.call.WaitReceived(k.ctx(), wsstest.Request(sip.INVITE))
	k.check(err)
	for _, req := range k.call.Received() {
		if req.Method == sip.UPDATE {
			t.Error("SIP.js heard an UPDATE")
		}
	}
	k.hangUp()
}
