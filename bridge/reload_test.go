package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A call that runs goes on though its member leaves the pool: offers, BYE and caps are as before, and the member is gone with it. New
// calls go to who is there now, as the new configuration has it.
func TestReloadWhileACallRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {Quota: Quota{Cap: admission.Cap{Calls: 2}}}}}})
	b := w.registered("alice", wsstest.Options{})
	call, phone := w.dialled(b, "600", w.agents[0], 700)
	w.check(call.Media().WaitTone(w.ctx(), 700))

	fresh, err := siptest.NewAgent(siptest.AgentConfig{})
	w.check(err)
	t.Cleanup(func() { fresh.Close() })
	settle, err := w.sip.Reload(sipside.Config{
		Listen: []sipside.Listen{{Network: "udp", Addr: w.sip.Addrs()[0]}},
		Pools:  []sipside.PoolConfig{{Name: "pbx", Members: []sipside.Member{{URI: fresh.URI("")}}}},
	})
	w.check(err)
	w.bridge.Reload(map[string]Peering{"pbx": {Quota: Quota{Cap: admission.Cap{Calls: 1}, Status: 486}}}, nil, admission.Limits{})
	settle()
	old := "pbx/" + w.agents[0].Addr().String()

	w.check(call.Hold(w.ctx()))
	w.check(call.Resume(w.ctx()))
	w.check(call.Media().WaitTone(w.ctx(), 700))
	full, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(full.Wait(w.ctx(), wsstest.Ended))
	if s := w.bridge.Stats().Peers["pbx"]; full.Status() != 486 || s.Calls != 1 || s.Capped["calls"] != 1 {
		t.Errorf("over the new cap the browser heard %d: %+v", full.Status(), s)
	}
	if member := w.sip.Backend(old); member == nil || member.State() != "draining" {
		t.Errorf("the member of the running call is %v", member)
	}
	w.check(phone.dialog.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	w.until("the member to leave", func() bool { return w.sip.Backend(old) == nil })
	w.until("the cap to have room", func() bool { return w.bridge.Stats().Peers["pbx"].Calls == 0 })

	next, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.replies(fresh, sip.INVITE, 486)
	w.check(next.Wait(w.ctx(), wsstest.Ended))
}
