package bridge

import (
	"testing"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// Without probes traffic alone finds a member dead: after as many failures as probes would need, no call tries it for a while.
func TestTrafficFindsAMemberDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{dead: true, handler: behave(replies(486))})
	b := w.browser(wsstest.Options{})
	for range 10 { // of which every second would go there first
		call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
		w.check(err)
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		if call.Status() != 486 {
			t.Errorf("the browser heard %d", call.Status())
		}
	}
	if n := w.bridge.Stats().Failovers; n != 3 {
		t.Errorf("%d failovers, want 3", n)
	}
}

// A 503 with Retry-After lets a member rest for that time: the next call goes elsewhere at once.
func TestRetryAfterLetsAMemberRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 2, handler: behave(func(in *siptest.Incoming) { overloaded(in) }, replies(486))})
	w.registerWith(0)
	b := w.registered("alice", wsstest.Options{})
	for range 2 {
		call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
		w.check(err)
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		if call.Status() != 486 {
			t.Errorf("the browser heard %d", call.Status())
		}
	}
	if n := w.bridge.Stats().Failovers; n != 1 {
		t.Errorf("%d failovers: the member that rests was asked again, or none was", n)
	}
	if state := w.sip.Backend("pbx/" + w.agents[0].Addr().String()).State(); state != "resting" {
		t.Errorf("the member is %s", state)
	}
}
