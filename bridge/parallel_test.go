package bridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A parallel pool: all living members ring, the first answer wins and the others are cancelled; who refused before spoke for nobody.
func TestParallelPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 3, dead: true, order: sipside.Parallel, probe: sipside.Probe{Every: time.Minute, Timeout: time.Minute, DownAfter: 1, UpAfter: 1}})
	w.until("the dead member to be known", func() bool { return strings.Contains(w.log.String(), "backend is down") })
	call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	ringing, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(ringing.Respond(siptest.Reply{Status: 180}))
	w.replies(w.agents[1], sip.INVITE, 486)
	winner := w.pickUp(w.agents[2], 700)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	cancel := w.replies(w.agents[0], sip.CANCEL, 200)
	w.check(ringing.Respond(siptest.Reply{Status: 487}))
	if reason := header(cancel.Request(), "Reason"); reason != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("CANCEL with Reason %q", reason)
	}
	w.check(call.Media().WaitTone(w.ctx(), 700))
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("To-tags %q", tags)
	}
	w.check(call.Bye(w.ctx()))
	winner.hungUp()
	r := w.record()
	asked := slices.Compact(slices.Sorted(slices.Values(r.Tried)))
	if len(asked) != 3 || r.Backend != "pbx/"+w.agents[2].Addr().String() || w.bridge.Stats().Failovers != 0 {
		t.Errorf("tried %q, answered by %s, %d failovers", r.Tried, r.Backend, w.bridge.Stats().Failovers)
	}
	w.over()
}

// Where nobody of them answers the best refusal counts, which is the callee's and not a member's.
func TestParallelPoolRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 3, order: sipside.Parallel, handler: behave(replies(503), replies(180, 486), replies(480))})
	call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 486 {
		t.Errorf("the browser heard %d", call.Status())
	}
	w.over()
}
