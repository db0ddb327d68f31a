package bridge

import (
	"testing"

	"tandem/wss/wsstest"
)

// A reloaded page takes the place of the one that it was at the backend; one that is open keeps its own.
func TestReloadedPageTakesTheDormantPlace(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	open := rig.dial(wsstest.Options{})
	rig.register(open, "alice", "secret")
	for range 5 {
		page := rig.dial(wsstest.Options{})
		rig.register(page, "alice", "secret")
		page.Drop()
		rig.until("the page's connection is gone", func() bool { return rig.browsers.Stats().Connections == 1 })
	}
	if n, m := rig.store.Len(), len(pbx.contacts()); n != 2 || m != 2 {
		t.Errorf("%d bindings here, %d at the backend", n, m)
	}
	live := rig.store.ByFlow(rig.flowOf(open))
	if len(live) != 1 {
		t.Fatalf("the open page has %d bindings", len(live))
	}
	rig.register(open, "alice", "secret") // a refresh
	if again := rig.store.ByFlow(rig.flowOf(open)); len(again) != 1 || again[0].Token != live[0].Token {
		t.Errorf("before %+v\nafter  %+v", live, again)
	}
}

// A client that comes back when another took its place is a new one, and its own again at the next refresh.
func TestWhoLostItsPlaceGetsAnother(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	first := rig.dial(wsstest.Options{Instance: "urn:uuid:a"})
	rig.register(first, "alice", "secret")
	before := rig.only()
	first.Drop()
	rig.until("the binding is dormant", func() bool { return rig.only().Flow == "" })
	rig.register(rig.dial(wsstest.Options{Instance: "urn:uuid:b"}), "alice", "secret")
	if b := rig.only(); b.Token != before.Token || b.Instance != "urn:uuid:b" {
		t.Errorf("the heir: %+v", b)
	}
	back := rig.dial(wsstest.Options{Instance: "urn:uuid:a"})
	rig.register(back, "alice", "secret")
	token := rig.store.ByFlow(rig.flowOf(back))[0].Token
	rig.register(back, "alice", "secret")
	if again := rig.store.ByFlow(rig.flowOf(back)); len(again) != 1 || again[0].Token != token || token == before.Token {
		t.Errorf("who came back: %+v", again)
	}
	if n, m := rig.store.Len(), len(pbx.contacts()); n != 2 || m != 2 {
		t.Errorf("%d bindings here, %d at the backend", n, m)
	}
}

// flowOf is the flow of a page's binding, by its Contact.
func (rig *registerRig) flowOf(page *wsstest.Browser) string {
	rig.t.Helper()
	uri := page.Contact()
	for _, b := range rig.store.ByAOR("sip:alice@example.com") {
		if b.Contact == uri.String() {
			return b.Flow
		}
	}
	rig.t.Fatal("the page has no binding")
	return ""
}
