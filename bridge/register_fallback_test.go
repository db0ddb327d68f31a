package bridge

import (
	"testing"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// fallbackTo is a rule for the pool, and behind it another for whoever cannot be registered there.
func fallbackTo(next route.Rule) []route.Rule {
	next.From, next.Tenant = "browsers", "second"
	return []route.Rule{{From: "browsers", To: "pbx", Fallback: true, Register: next.Register, Tenant: "first"}, next}
}

// A REGISTER follows fallback rules to where the next one says, as it says it.
func TestRegisterFallsBack(t *testing.T) {
	t.Parallel()
	routes := fallbackTo(route.Rule{To: "other", Rewrite: route.Rewrite{FromDomain: "trunk.example"}})
	w := newWorld(t, conditions{other: true, routes: routes, handler: func(int) func(*siptest.Incoming) bool { return overloaded }})
	_, in := w.registersAtOther()
	if to := in.Request().To().Address; to.Host != "trunk.example" {
		t.Errorf("registered is %s", to.String())
	}
	bindings := w.store.ByAOR("sip:alice@example.com")
	if len(bindings) != 1 || poolOf(bindings[0].Backend) != "other" || bindings[0].Tenant != "second" {
		t.Errorf("bindings %+v", bindings)
	}
}

// Who cannot be registered behind is registered here where the next rule says so: once he has proved who he is.
func TestRegisterFallsBackToHere(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, first string }{{"from a registrar behind", route.Forward}, {"from one that trusts", route.Vouch}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			routes := fallbackTo(route.Rule{To: "browsers", Register: route.Local})
			routes[0].Register = row.first
			w := newWorld(t, conditions{routes: routes, gate: newGate(t), handler: func(int) func(*siptest.Incoming) bool { return overloaded }})
			b := w.browser(wsstest.Options{})
			if _, err := b.Register(w.ctx(), "alice", "wrong"); err == nil {
				t.Error("a wrong password was good")
			}
			if _, err := b.Register(w.ctx(), "alice", "secret"); err != nil {
				t.Fatal(err)
			}
			bindings := w.store.ByAOR("sip:alice@example.com")
			if len(bindings) != 1 || bindings[0].Backend != "" || bindings[0].Tenant != "second" {
				t.Errorf("bindings %+v", bindings)
			}
			if w.bridge.Stats().Failovers == 0 {
				t.Error("no failover was counted")
			}
		})
	}
}

// A rule that rejects, and one that wants to know who comes where the first did not, end what falls back.
func TestRegisterDoesNotFallBack(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		next route.Rule
	}{
		{"a rule that rejects", route.Rule{Reject: 403}},
		{"one that vouches", route.Rule{To: "other", Register: route.Vouch}},
		{"none that matches", route.Rule{To: "other", Domain: "elsewhere.example"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			routes := fallbackTo(row.next)
			routes[0].Register = route.Forward
			w := newWorld(t, conditions{other: true, routes: routes, handler: func(int) func(*siptest.Incoming) bool { return overloaded }})
			if _, err := w.browser(wsstest.Options{}).Register(w.ctx(), "alice", ""); err == nil {
				t.Error("registered")
			}
			if bindings := w.store.ByAOR("sip:alice@example.com"); len(bindings) != 0 {
				t.Errorf("bindings %+v", bindings)
			}
		})
	}
}
