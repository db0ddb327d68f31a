package guard

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// through is a value as a file brings it back.
func through[T any](t *testing.T, v T) (back T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// Bans, how often they were, and trust are in another process what they were in the one before.
func TestGuardIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := New(standard, Options{Keep: true})
		v := first.Visit(office)
		v.Judged(alice(1), true)
		v.Judged(alice(1), true)
		if n := first.Changes(); n != 2 {
			t.Errorf("%d changes, want 2: the address, and who is there", n)
		}
		first.BanFor(office, "", time.Hour)
		banned := netip.MustParseAddr("2001:db8::1")
		first.ban(banned, alice(2), Guessing, TLS, 0)
		first.BanFor(netip.MustParseAddr("192.0.2.9"), "", time.Hour)
		first.Lift(netip.MustParseAddr("192.0.2.9"), "")
		kept := through(t, first.Keep())

		second := New(standard, Options{Keep: true})
		second.Restore(kept)
		if got, want := second.Bans(), first.Bans(); len(got) != 2 || len(want) != 2 || got[0].Until.Compare(want[0].Until) != 0 || got[0].Identity != want[0].Identity {
			t.Errorf("bans %+v, before %+v", got, want)
		}
		if status, _ := second.Visit(office).Admit(alice(1)); status != 0 {
			t.Errorf("who proved himself at a banned address: %d", status)
		}
		if status, _ := second.Visit(office).Admit(alice(3)); status != 403 {
			t.Errorf("another user there: %d", status)
		}
		time.Sleep(2 * time.Minute)
		second.ban(netip.MustParseAddr("2001:db8::2"), alice(2), Guessing, TLS, 0) // the same network
		if b := second.Bans(); b[0].Times != 2 {
			t.Errorf("the second ban of the same: %+v", b)
		}
		time.Sleep(trustLife)
		if k := second.Keep(); len(k.Trusted) != 0 || len(k.Bans) != 0 {
			t.Errorf("what is over is kept: %+v", k)
		}
	})
}

// What is kept of trust is bounded.
func TestKeptTrustIsBounded(t *testing.T) {
	now := time.Now()
	kept := &trusts{held: map[trusted]int64{}}
	for i := range tableSize + 100 {
		kept.add(trusted{identity: strconv.Itoa(i)}, now, now.Add(time.Hour).UnixNano())
	}
	if n := len(kept.held); n > tableSize {
		t.Errorf("%d are kept", n)
	}
}

// What was spent, stops and alarms are in another process what they were in the one before; what the configuration names no more is not.
func TestTollsAreRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := TollConfig{Status: 403, Hold: time.Hour, Spending: []Spending{
			{Name: "all", Per: time.Hour, User: Budget{Calls: 2}, Action: StopNew},
			{Name: "talk", Per: time.Hour, Total: Budget{Talked: 30 * time.Minute}, Action: Notify},
		}}
		first := newTollTest(cfg)
		for range 3 {
			m := first.call("mallory", "+53")
			time.Sleep(time.Minute)
			m.Ended()
		}
		one := first.call("alice", "+49")
		time.Sleep(10 * time.Minute)
		kept := through(t, first.Keep())
		one.Ended()

		second := newTollTest(TollConfig{})
		second.Restore(kept)
		second.Reload(cfg)
		if second.call("mallory", "+53") != nil {
			t.Error("who was stopped calls again")
		}
		if a := second.Alarms(); len(a) != 1 || !a[0].Active || a[0].User != "mallory" {
			t.Errorf("alarms %+v", a)
		}
		other := second.call("alice", "+49")
		time.Sleep(17*time.Minute + 2*time.Second) // 13 minutes were talked before
		if a := second.raised(); len(a) != 1 || a[0].Spending != "talk" || a[0].ID != 2 {
			t.Errorf("raised %+v", a)
		}
		other.Ended()
		if second.Release(1) != 1 {
			t.Error("the alarm of before cannot be released")
		}
		if again := second.call("mallory", "+53"); again != nil {
			again.Ended()
		} else {
			t.Error("stopped after the release")
		}
		before := second.Changes()
		second.Restore(KeptTolls{Accounts: []KeptAccount{{Spending: "gone"}}})
		second.Reload(cfg)
		if n := second.Stats().Accounts; n != 3 || second.Changes() != before {
			t.Errorf("%d accounts", n)
		}
		synctest.Wait()
	})
}
