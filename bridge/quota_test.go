package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A full trunk refuses calls of either direction, but none to an emergency number; a call that ended makes room.
func TestTrunkQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, routes: trunkRoutes(), bridge: Config{Peerings: map[string]Peering{
		"other": {Quota: Quota{Cap: admission.Cap{Calls: 1}, Emergency: []string{"112"}}}, "pbx": {},
	}}})
	b := w.registered("alice", wsstest.Options{})
	first, err := b.Invite(w.ctx(), "+4930", wsstest.InviteOptions{})
	w.check(err)
	d := w.answered(w.other, w.rtp(), 440)
	w.check(first.Wait(w.ctx(), wsstest.Confirmed))

	second, err := b.Invite(w.ctx(), "+4931", wsstest.InviteOptions{})
	w.check(err)
	w.check(second.Wait(w.ctx(), wsstest.Ended))
	if final := second.Responses()[len(second.Responses())-1]; final.StatusCode != 503 || header(final, "Retry-After") == "" {
		t.Errorf("the second call got\n%s", final.String())
	}
	incoming, err := w.other.Invite(siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	if res, err := incoming.Final(w.ctx()); err != nil || res.StatusCode != 503 {
		t.Errorf("the trunk's call got %v, %v", res, err)
	}
	if s := w.bridge.Stats().Peers["other"]; s.Calls != 1 || s.Capped["calls"] != 2 || s.Capped["rate"] != 0 {
		t.Errorf("%+v", s)
	}

	emergency, err := b.Invite(w.ctx(), "112", wsstest.InviteOptions{})
	w.check(err)
	help := w.answered(w.other, w.rtp(), 440)
	w.check(emergency.Wait(w.ctx(), wsstest.Confirmed))
	for _, dialog := range []*siptest.Dialog{help, d} {
		w.check(dialog.Bye(w.ctx()))
	}
	w.until("the trunk has no calls", func() bool { return w.bridge.Stats().Peers["other"].Calls == 0 })
	third, err := b.Invite(w.ctx(), "+4930", wsstest.InviteOptions{})
	w.check(err)
	w.answered(w.other, w.rtp(), 440)
	w.check(third.Wait(w.ctx(), wsstest.Confirmed))
}

// A pool that is over its rate refuses with the status of its own.
func TestTrunkRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{
		members: 2, routes: []route.Rule{{From: "browsers", To: "pbx"}},
		bridge: Config{Peerings: map[string]Peering{"pbx": {Quota: Quota{Cap: admission.Cap{Rate: 0.001}, Status: 486}}}},
	})
	b := w.registered("alice", wsstest.Options{})
	first, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(w.expectAny(sip.INVITE).Respond(siptest.Reply{Status: 486}))
	w.check(first.Wait(w.ctx(), wsstest.Ended))
	second, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(second.Wait(w.ctx(), wsstest.Ended))
	if second.Status() != 486 {
		t.Errorf("the second call got %d", second.Status())
	}
	if s := w.bridge.Stats().Peers["pbx"]; s.Calls != 0 || s.Capped["rate"] != 1 { // its other member is not asked
		t.Errorf("%+v", s)
	}
}
