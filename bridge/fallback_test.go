package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// toBoth is a rule with two targets: the pool, then the trunk "other".
var toBoth = []route.Rule{{From: "browsers", Targets: []route.Target{{Name: "pbx", Priority: 1}, {Name: "other", Priority: 2}}}}

// registersAtOther registers a browser as alice at the trunk "other", which accepts the request that it gives.
func (w *world) registersAtOther() (*wsstest.Browser, *siptest.Incoming) {
	w.t.Helper()
	b := w.browser(wsstest.Options{})
	registered := make(chan error, 1)
	w.meanwhile(func() {
		_, err := b.Register(w.ctx(), "alice", "")
		registered <- err
	})
	in, err := w.other.Expect(w.ctx(), sip.REGISTER)
	w.check(err)
	acceptRegister(in)
	w.check(<-registered)
	return b, in
}

// Of a route's several targets the first that can be reached is the registrar, and the next calls go there, too.
func TestRegistersAtTheNextTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, routes: toBoth, handler: func(int) func(*siptest.Incoming) bool { return overloaded }})
	b, _ := w.registersAtOther()
	if bindings := w.store.ByAOR("sip:alice@example.com"); len(bindings) != 1 || poolOf(bindings[0].Backend) != "other" {
		t.Errorf("bindings %+v", bindings)
	}
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.replies(w.other, sip.INVITE, 486)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if tried := w.record().Tried; len(tried) != 1 || poolOf(tried[0]) != "other" { // the pool rests
		t.Errorf("tried %q", tried)
	}
}

// What a pool refuses is the callee's word and goes to the caller; with `failover` the next member and the next target are asked first.
func TestRefusalsThatLeadOn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		failover sipside.Statuses
		refusal  int
		status   int // to the browser
		tried    int
	}{
		{"404 is an answer", nil, 404, 404, 1},
		{"480 is an answer", nil, 480, 480, 1},
		{"404 by configuration", sipside.Statuses{{Low: 404, High: 404}, {Low: 480, High: 480}}, 404, 486, 3},
		{"480 by configuration", sipside.Statuses{{Low: 404, High: 404}, {Low: 480, High: 480}}, 480, 486, 3},
		{"403 is not configured", sipside.Statuses{{Low: 404, High: 404}}, 403, 403, 1},
		{"5xx leads to the next target", nil, 500, 486, 2},
		{"5xx leads to the next member first", sipside.Statuses{{Low: 500, High: 599}}, 502, 486, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{members: 2, other: true, routes: toBoth, handler: behave(replies(row.refusal), replies(row.refusal)),
				bridge: Config{Peerings: map[string]Peering{"pbx": {Failover: row.failover}, "other": {}}}})
			call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			if row.status == 486 {
				w.replies(w.other, sip.INVITE, 486)
			}
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != row.status {
				t.Errorf("the browser heard %d, want %d", call.Status(), row.status)
			}
			if r := w.record(); len(r.Tried) != row.tried {
				t.Errorf("tried %q, want %d", r.Tried, row.tried)
			}
		})
	}
}
