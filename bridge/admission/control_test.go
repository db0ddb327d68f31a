package admission

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var (
	office = netip.MustParseAddr("203.0.113.7")
	alice  = Caller{User: "sip:alice@example.com", Source: office}
	bob    = Caller{User: "sip:bob@example.com", Source: office}
)

func TestControlLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits Limits
		load   Load
		calls  []Caller // each comes right after the other
		want   []string // limits; "": it is let in
	}{
		{"none", Limits{}, Load{1, 1, 1}, []Caller{alice, alice, {}}, []string{"", "", ""}},
		{"process", Limits{Process: Cap{Calls: 2}}, Load{}, []Caller{alice, bob, alice}, []string{"", "", ProcessCalls}},
		{"process rate", Limits{Process: Cap{Rate: 1}}, Load{}, []Caller{alice, bob}, []string{"", ProcessRate}},
		{"user", Limits{User: Cap{Calls: 1}}, Load{}, []Caller{alice, alice, bob}, []string{"", UserCalls, ""}},
		{"user rate", Limits{User: Cap{Rate: 0.1}}, Load{}, []Caller{alice, alice, bob}, []string{"", UserRate, ""}},
		{"nobody known", Limits{User: Cap{Calls: 1}}, Load{}, []Caller{{}, {}}, []string{"", ""}},
		{"source", Limits{Source: Cap{Calls: 1}}, Load{}, []Caller{alice, bob, {Source: netip.MustParseAddr("203.0.113.8")}}, []string{"", SourceCalls, ""}},
		{"source rate", Limits{Source: Cap{Rate: 1}}, Load{}, []Caller{alice, bob}, []string{"", SourceRate}},
		{"mapped", Limits{Source: Cap{Calls: 1}}, Load{}, []Caller{alice, {Source: netip.MustParseAddr("::ffff:203.0.113.7")}}, []string{"", SourceCalls}},
		{"one network", Limits{Source: Cap{Calls: 1}}, Load{},
			[]Caller{{Source: netip.MustParseAddr("2001:db8::1")}, {Source: netip.MustParseAddr("2001:db8::2")}, {Source: netip.MustParseAddr("2001:db8:0:1::2")}},
			[]string{"", SourceCalls, ""}},
		{"except", Limits{Source: Cap{Calls: 1}, Except: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, Load{},
			[]Caller{alice, bob}, []string{"", ""}},
		{"cpu", Limits{CPU: 0.9}, Load{CPU: 0.91}, []Caller{alice}, []string{CPU}},
		{"memory", Limits{CPU: 0.9, Memory: 0.5}, Load{CPU: 0.9, Memory: 0.6}, []Caller{alice}, []string{Memory}},
		{"ports", Limits{Ports: 0.05}, Load{Ports: 0.96}, []Caller{alice}, []string{Ports}},
		{"room", Limits{CPU: 0.9, Memory: 0.9, Ports: 0.05}, Load{0.9, 0.9, 0.95}, []Caller{alice}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			control := NewControl(func() Load { return c.load }, time.Now)
			control.Set(c.limits)
			refused := map[string]uint64{}
			for i, by := range c.calls {
				limit := ""
				if _, no := control.Admit(by, Call{Number: "600"}); no != nil {
					limit = no.Limit
					refused[limit]++
					if no.Status != 503 || no.Why == "" {
						t.Errorf("%+v", no)
					}
				}
				if limit != c.want[i] {
					t.Errorf("call %d: %q, wanted %q", i, limit, c.want[i])
				}
			}
			for limit, n := range control.Stats().Refused {
				if n != refused[limit] {
					t.Errorf("%d by %s are counted, %d were", n, limit, refused[limit])
				}
			}
		})
	}
}

// An emergency call passes everything, and is counted.
func TestEmergencyPasses(t *testing.T) {
	t.Parallel()
	c := NewControl(func() Load { return Load{1, 1, 1} }, time.Now)
	c.Set(Limits{Process: Cap{1, 0.001}, User: Cap{1, 0.001}, Source: Cap{1, 0.001}, CPU: 0.1, Memory: 0.1, Ports: 0.5, Emergency: []string{"112"}})
	for _, number := range []string{"112", "112", "112;phone-context=+49"} {
		if _, no := c.Admit(alice, Call{Number: number}); no != nil {
			t.Fatalf("%s: %+v", number, no)
		}
	}
	if _, no := c.Admit(alice, Call{Number: "1120"}); no == nil {
		t.Error("1120 is no emergency")
	}
	if s := c.Stats(); s.Calls != 3 || s.Users != 1 || s.Sources != 1 {
		t.Errorf("%+v", s)
	}
}

// A direct call takes no ports, so it comes in where others find none; what else is scarce holds it back, too.
func TestDirectCallsNeedNoPorts(t *testing.T) {
	t.Parallel()
	for _, load := range []Load{{Ports: 1}, {Ports: 1, Memory: 1}} {
		c := NewControl(func() Load { return load }, time.Now)
		c.Set(Limits{Memory: 0.9, Ports: 0.1})
		if _, no := c.Admit(alice, Call{Number: "600"}); no == nil {
			t.Error("a relayed call comes in")
		}
		if _, no := c.Admit(alice, Call{Number: "600", Direct: true}); (no == nil) != (load.Memory == 0) {
			t.Errorf("with %+v a direct call is answered %+v", load, no)
		}
	}
}

// Who is refused for one reason takes nothing from the others, and what was let in is given back in full.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		c := NewControl(nil, time.Now)
		var passes []*Pass
		for i := range 5000 {
			if i%500 == 0 { // reloads while calls run
				c.Set(Limits{
					Process: Cap{r.IntN(60), float64(r.IntN(40))}, User: Cap{r.IntN(4), r.Float64() * 2}, Source: Cap{r.IntN(8), float64(r.IntN(3))},
				})
			}
			switch by := (Caller{fmt.Sprint("user", r.IntN(30)), netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(10))})}); r.IntN(4) {
			case 0:
				time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			case 1:
				if n := len(passes); n > 0 {
					c.Release(passes[n-1])
					passes = passes[:n-1]
				}
			case 2:
				passes = append(passes, c.Keep(by))
			default:
				if p, no := c.Admit(by, Call{Number: "600", Again: r.IntN(5) == 0}); no == nil {
					passes = append(passes, p)
				}
			}
			if s := c.Stats(); s.Calls != len(passes) {
				t.Fatalf("%d calls are counted, %d run", s.Calls, len(passes))
			}
		}
		for _, p := range passes {
			c.Release(p)
		}
		time.Sleep(time.Hour) // all rates are whole again
		c.mu.Lock()
		c.users.sweep(time.Now())
		c.sources.sweep(time.Now())
		c.mu.Unlock()
		if s := c.Stats(); s.Calls != 0 || s.Users != 0 || s.Sources != 0 {
			t.Errorf("%+v are left", s)
		}
	})
}

// However many parties come, a table stays within its bounds, and those with calls are not forgotten.
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 2000
	tab, now := newTable(limit), time.Now()
	tab.set(Cap{Calls: 1, Rate: 0.0001})
	tab.take("who stays", now, false)
	for i := range 20 * limit {
		key := fmt.Sprint(i)
		if got, _ := tab.take(key, now, false); got != "" {
			t.Fatalf("%s: %q", key, got)
		}
		tab.release(key, now)
		if len(tab.parties) > limit {
			t.Fatalf("%d parties", len(tab.parties))
		}
	}
	if got, _ := tab.take("who stays", now, false); got != Calls {
		t.Errorf("a running call was forgotten: %q", got)
	}
}

// The load is read once a second at most, however many calls come.
func TestLoadIsReadSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		c := NewControl(func() Load { reads++; return Load{CPU: 0.5} }, time.Now)
		c.Set(Limits{CPU: 0.9})
		for range 50 {
			c.Admit(alice, Call{Number: "600"})
			time.Sleep(100 * time.Millisecond)
		}
		if reads != 5 || c.Stats().Load.CPU != 0.5 {
			t.Errorf("%d reads in five seconds; %+v", reads, c.Stats().Load)
		}
	})
}
