package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/sdp"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

func TestEarlyOffersThatCross(t *testing.T) {
	t.Parallel()
	for open, want := range map[sdp.Pending]int{sdp.Stable: 0, sdp.SaidOffer: 491, sdp.HeardOffer: 500} {
		if got := refuseEarlyOffer(open); got != want {
			t.Errorf("%v: %d, want %d (RFC 3311 §5.2)", open, got, want)
		}
	}
}

// A callee moves its early media by UPDATE: it is answered at once, the browser hears the new place and nothing else.
func TestEarlyMediaMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{})
	first, second := w.rtp(), w.rtp()
	answer, err := first.Answer(in.SDP())
	w.check(err)
	first.Tone(1000)
	w.pracked(in, siptest.Reply{Status: 183, SDP: answer})
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(first.Close())
	res, err := in.Early().Request(w.ctx(), sip.UPDATE, "application/sdp", second.Offer("sendrecv"))
	w.check(err)
	if res.StatusCode != 200 {
		t.Fatalf("UPDATE: %d %s", res.StatusCode, header(res, "Reason"))
	}
	w.check(second.Connect(string(res.Body())))
	second.Tone(1200)
	w.check(call.Media().WaitTone(w.ctx(), 1200))
	d, err := in.Accept(w.ctx(), siptest.Reply{})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	w.check(second.WaitTone(w.ctx(), 440))
	for _, req := range call.Received() {
		if req.Method == sip.UPDATE {
			t.Error("the browser heard an UPDATE")
		}
	}
	w.check(d.Bye(w.ctx()))
}

// UPDATEs in early dialogs that carry no offer, cross the open one, or belong to nobody.
func TestEarlyUpdates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{})
	m := w.rtp()
	w.pracked(in, siptest.Reply{Status: 180})
	w.check(call.Wait(w.ctx(), wsstest.Ringing))
	for _, test := range []struct {
		name, offer string
		status      int
	}{{"a target refresh", "", 200}, {"an offer that crosses ours", m.Offer("sendrecv"), 491}} {
		res, err := in.Early().Request(w.ctx(), sip.UPDATE, "application/sdp", test.offer)
		w.check(err)
		if res.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, res.StatusCode, test.status)
		}
	}
	if _, err := call.Request(w.ctx(), sip.UPDATE, "", nil); err != nil {
		t.Errorf("the browser's UPDATE before the answer: %v", err)
	}
	offer, err := wsstest.FixedAudio().Offer(w.ctx(), wsstest.Change{})
	w.check(err)
	res, _ := call.Request(w.ctx(), sip.UPDATE, "application/sdp", offer)
	if res == nil || res.StatusCode != 500 || header(res, "Retry-After") == "" {
		t.Errorf("the browser's offer while its INVITE's is open: %v", res)
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// A browser that changes its session before the answer is answered at once; the callee hears of it once the call is up.
func TestBrowserHoldsWhileRinging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	call, in := w.ringing(wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	w.pracked(in, siptest.Reply{Status: 183, SDP: answer})
	w.check(call.Wait(w.ctx(), wsstest.Early))
	offer, err := call.Session().Offer(w.ctx(), wsstest.Change{Direction: "sendonly"})
	w.check(err)
	res, err := call.Request(w.ctx(), sip.UPDATE, "application/sdp", offer)
	w.check(err)
	if !strings.Contains(string(res.Body()), "a=recvonly") {
		t.Errorf("answered\n%s", res.Body())
	}
	d, err := in.Accept(w.ctx(), siptest.Reply{})
	w.check(err)
	held, err := d.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if !strings.Contains(held.SDP(), "a=sendonly") {
		t.Errorf("the callee was offered\n%s", held.SDP())
	}
	answer, err = m.Answer(held.SDP())
	w.check(err)
	_, err = held.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(d.Bye(w.ctx()))
}
