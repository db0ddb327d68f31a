package bridge

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// What a user sends, and what comes for the user from elsewhere, goes to the member where the user is registered; others take turns.
func TestUsersStayWithTheirMember(t *testing.T) {
	t.Parallel()
	heard := make(chan int, 16)
	w := newWorld(t, conditions{members: 3, other: true, bridge: Config{Domains: []string{"example.com"}},
		routes: []route.Rule{{From: "other", To: "pbx"}, {From: "browsers", To: "pbx"}, {From: "pbx", To: "browsers"}},
		handler: func(member int) func(*siptest.Incoming) bool {
			return func(in *siptest.Incoming) bool {
				if in.Request().Method != sip.MESSAGE {
					return false
				}
				heard <- member
				return in.Respond(siptest.Reply{Status: 200}) == nil
			}
		}})
	b := w.registered("alice", wsstest.Options{})
	home := -1
	for i, a := range w.agents {
		if w.store.ByAOR("sip:alice@example.com")[0].Backend == "pbx/"+a.Addr().String() {
			home = i
		}
	}
	gateway := w.sip.Addrs()[0]
	from := func(user string) int {
		t.Helper()
		to := sip.Uri{Scheme: "sip", User: user, Host: gateway.Addr().String(), Port: int(gateway.Port())}
		if res, err := w.other.Do(w.ctx(), sip.MESSAGE, siptest.Call{To: to}); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		return <-heard
	}
	for range len(w.agents) {
		if res := <-w.sends(b, text(b.NewRequest(sip.MESSAGE, "sip:600@example.com"), "text/plain", "hello")); res.StatusCode != 200 {
			t.Fatal(res)
		}
		if got := <-heard; got != home {
			t.Errorf("what alice sent went to %d, her member is %d", got, home)
		}
		if got := from("alice"); got != home {
			t.Errorf("what came for alice went to %d, her member is %d", got, home)
		}
	}
	members := map[int]bool{}
	for range len(w.agents) {
		members[from("carol")] = true
	}
	if len(members) != len(w.agents) {
		t.Errorf("what came for nobody in particular went to %d members", len(members))
	}
}
