package location

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
)

// clock is a settable time.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Unix(1_700_000_000, 0)} }

// naive is the obviously right Store: one list.
type naive struct {
	now      func() time.Time
	bindings []Binding // put last comes last
}

func (n *naive) live() []Binding {
	n.bindings = slices.DeleteFunc(n.bindings, func(b Binding) bool { return !b.Expires.After(n.now()) })
	return n.bindings
}

func (n *naive) find(match func(Binding) bool) []Binding {
	var found []Binding
	for _, b := range slices.Backward(n.live()) {
		if match(b) {
			found = append(found, b)
		}
	}
	return found
}

func (n *naive) Put(b Binding) (Binding, bool) {
	replaced, had := n.ByToken(b.Token)
	n.Remove(b.Token)
	n.bindings = append(n.bindings, b)
	return replaced, had
}

func (n *naive) ByToken(token string) (Binding, bool) {
	found := n.find(func(b Binding) bool { return b.Token == token })
	if len(found) == 0 {
		return Binding{}, false
	}
	return found[0], true
}

func (n *naive) ByAOR(aor string) []Binding {
	return n.find(func(b Binding) bool { return b.AOR == aor && aor != "" })
}

func (n *naive) ByFlow(flow string) []Binding {
	return n.find(func(b Binding) bool { return b.Flow == flow && flow != "" })
}

func (n *naive) Remove(token string) {
	n.bindings = slices.DeleteFunc(n.live(), func(b Binding) bool { return b.Token == token })
}

func (n *naive) Len() int { return len(n.live()) }

func TestMemoryAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c, rnd := newClock(), rand.New(rand.NewPCG(seed, 1))
			got, want := NewMemory(c.now), &naive{now: c.now}
			for step := range 250 {
				compare(t, step, got, want, c, rnd)
			}
			c.t = c.t.Add(time.Hour)
			if got.Len() != 0 || len(got.byAOR) != 0 || len(got.byFlow) != 0 || len(got.expiry) != 0 {
				t.Fatalf("after all expired: %d bindings, %d addresses, %d flows, %d in the heap",
					got.Len(), len(got.byAOR), len(got.byFlow), len(got.expiry))
			}
		})
	}
}

// compare does one random thing to both stores and asks both everything about one random key.
func compare(t *testing.T, step int, got *Memory, want *naive, c *clock, rnd *rand.Rand) {
	t.Helper()
	token, aor := fmt.Sprint("t", rnd.IntN(12)), fmt.Sprint("sip:u", rnd.IntN(4), "@example.com")
	flow := []string{"", "f1", "f2", "f3"}[rnd.IntN(4)]
	same := func(what string, g, w any) {
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("step %d: %s: got %v, want %v", step, what, g, w)
		}
	}
	switch rnd.IntN(5) {
	case 0, 1, 2:
		b := Binding{Token: token, AOR: aor, Flow: flow, Expires: c.t.Add(time.Duration(rnd.IntN(30)-2) * time.Second), CSeq: uint32(step)}
		g, gHad := got.Put(b)
		w, wHad := want.Put(b)
		same("Put", []any{g, gHad}, []any{w, wHad})
	case 3:
		got.Remove(token)
		want.Remove(token)
	case 4:
		c.t = c.t.Add(time.Duration(rnd.IntN(5)) * time.Second)
	}
	g, gOK := got.ByToken(token)
	w, wOK := want.ByToken(token)
	same("ByToken", []any{g, gOK}, []any{w, wOK})
	same("ByAOR", got.ByAOR(aor), want.ByAOR(aor))
	same("ByFlow", got.ByFlow(flow), want.ByFlow(flow))
	same("Len", got.Len(), want.Len())
}

func TestBindingExpiresAtItsInstant(t *testing.T) {
	c := newClock()
	m := NewMemory(c.now)
	m.Put(Binding{Token: "t", AOR: "a", Expires: c.t.Add(time.Second)})
	c.t = c.t.Add(time.Second - 1)
	if _, ok := m.ByToken("t"); !ok {
		t.Error("gone a nanosecond early")
	}
	c.t = c.t.Add(1)
	if _, ok := m.ByToken("t"); ok {
		t.Error("still there at its expiry")
	}
}

func TestPutOfAnExpiredBindingRemoves(t *testing.T) {
	c := newClock()
	m := NewMemory(c.now)
	m.Put(Binding{Token: "t", AOR: "a", Flow: "f", Expires: c.t.Add(time.Second)})
	replaced, had := m.Put(Binding{Token: "t", AOR: "a", Flow: "g", Expires: c.t})
	if !had || replaced.Flow != "f" {
		t.Errorf("replaced %v, %v", replaced, had)
	}
	if m.Len() != 0 || m.ByFlow("g") != nil {
		t.Error("an expired binding was kept")
	}
}

func TestReconnectMovesTheFlow(t *testing.T) {
	c := newClock()
	m := NewMemory(c.now)
	b := Binding{Token: "t", AOR: "a", Flow: "f", Expires: c.t.Add(time.Minute)}
	m.Put(b)
	b.Flow, b.LastFlow = "", "f"
	m.Put(b)
	if m.ByFlow("f") != nil || len(m.ByAOR("a")) != 1 {
		t.Fatal("a dormant binding is known by its address, not by a flow")
	}
	b.Flow, b.LastFlow = "g", ""
	if old, had := m.Put(b); !had || old.LastFlow != "f" {
		t.Fatalf("replaced %v, %v", old, had)
	}
	if len(m.ByFlow("g")) != 1 || m.Len() != 1 {
		t.Fatal("not found by its new flow")
	}
}

func TestMemoryConcurrently(t *testing.T) {
	m := NewMemory(time.Now)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 2))
			for range 500 {
				token, aor := fmt.Sprint(rnd.IntN(20)), fmt.Sprint(rnd.IntN(5))
				m.Put(Binding{Token: token, AOR: aor, Flow: aor, Expires: time.Now().Add(time.Duration(rnd.IntN(2000)) * time.Microsecond)})
				for _, b := range m.ByAOR(aor) {
					if b.AOR != aor {
						t.Errorf("asked for %s, got %s", aor, b.AOR)
					}
				}
				m.ByFlow(aor)
				m.ByToken(token)
				m.Remove(fmt.Sprint(rnd.IntN(20)))
				m.Len()
			}
		})
	}
	wg.Wait()
}

func BenchmarkRefresh(b *testing.B) {
	m := NewMemory(time.Now)
	for i := range 100_000 {
		m.Put(Binding{Token: fmt.Sprint(i), AOR: fmt.Sprint(i), Flow: fmt.Sprint(i), Expires: time.Now().Add(time.Hour)})
	}
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint(i % 100_000)
		m.Put(Binding{Token: id, AOR: id, Flow: id, Expires: time.Now().Add(time.Hour)})
	}
}
