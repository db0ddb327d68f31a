package guard

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tollTest are Tolls whose alarms and log can be read.
type tollTest struct {
	*Tolls
	log strings.Builder // read after synctest.Wait

	heard  sync.Mutex     // guards what follows
	alarms []Alarm        // as they were raised
	ended  map[string]int // calls, by user
}

func (x *tollTest) raised() []Alarm {
	x.heard.Lock()
	defer x.heard.Unlock()
	return slices.Clone(x.alarms)
}

func (x *tollTest) endedOf(user string) int {
	x.heard.Lock()
	defer x.heard.Unlock()
	return x.ended[user]
}

func newTollTest(cfg TollConfig) *tollTest {
	x := &tollTest{ended: map[string]int{}}
	x.Tolls = NewTolls(slog.New(slog.NewTextHandler(&x.log, nil)), func(a Alarm) {
		x.heard.Lock()
		defer x.heard.Unlock()
		x.alarms = append(x.alarms, a)
	})
	x.Reload(cfg)
	return x
}

// call places a call and has it answered; nil: it was refused.
func (x *tollTest) call(user, number string) *Meter {
	m, no := x.Place(Toll{User: user, Number: number, Via: "carrier"}, func(string) {
		x.heard.Lock()
		defer x.heard.Unlock()
		x.ended[user]++
	})
	if no != nil {
		return nil
	}
	m.Answered()
	return m
}

func begins(with string) func(string) bool {
	return func(number string) bool { return strings.HasPrefix(number, with) }
}

const hour = time.Hour

func TestMinutesAreCountedWhileTheyAreTalked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newTollTest(TollConfig{Status: 403, Spending: []Spending{{
			Name: "exotic", Match: begins("+882"), Per: 24 * hour, User: Budget{Talked: 60 * time.Minute}, Action: EndAll,
		}}})
		for range 3 { // three at once talk an hour in twenty minutes
			x.call("alice", "+8821")
		}
		x.call("alice", "+4930") // costs nothing
		x.call("bob", "+8821")
		time.Sleep(20*time.Minute - time.Second/2)
		synctest.Wait()
		if len(x.raised()) != 0 || x.endedOf("alice") != 0 {
			t.Fatalf("too early: %+v", x.raised())
		}
		time.Sleep(2 * tollTick)
		synctest.Wait()
		if len(x.raised()) != 1 || x.endedOf("alice") != 3 || x.endedOf("bob") != 0 {
			t.Fatalf("%+v, ended %d", x.raised(), x.endedOf("alice"))
		}
		if a := x.raised()[0]; a.User != "alice" || a.Minutes < 60 || a.Minutes > 60.2 || a.Limit != "60 minutes in 24h0m0s" || !a.Active {
			t.Errorf("%+v", a)
		}
		if !strings.Contains(x.log.String(), `level=WARN msg="toll fraud" alarm=1 spending=exotic user=alice minutes=60.0 calls=3 limit="60 minutes in 24h0m0s" action=end`) {
			t.Errorf("the log says\n%s", x.log.String())
		}
		if x.call("alice", "+8829") != nil {
			t.Error("alice may go on")
		}
		if x.call("alice", "+4930") == nil || x.call("bob", "+8829") == nil {
			t.Error("others are stopped, too")
		}
		if s := x.Stats(); s.Refused["exotic"] != 1 || s.Stopped["exotic"] != 1 || s.Alarms["exotic"] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestReleaseAndHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := TollConfig{Status: 403, Spending: []Spending{{Name: "calls", Per: 24 * hour, User: Budget{Calls: 2}, Action: StopNew}}}
		x := newTollTest(cfg)
		for range 3 {
			x.call("alice", "1").Ended()
		}
		if x.call("alice", "1") != nil {
			t.Fatal("four calls")
		}
		x.Reload(cfg) // it stays
		time.Sleep(100 * hour)
		if all := x.Alarms(); x.call("alice", "1") != nil || len(all) != 1 || !all[0].Active || !all[0].Until.IsZero() {
			t.Fatalf("without hold a stop ends by itself: %+v", all)
		}
		if x.Release(7) != 0 || x.Release(1) != 1 || x.Release(1) != 0 {
			t.Error("one stop can be released once")
		}
		if all := x.Alarms(); all[0].Active || all[0].Released.IsZero() {
			t.Errorf("%+v", all)
		}
		cfg.Hold = hour
		x.Reload(cfg)
		for range 3 {
			x.call("alice", "1").Ended()
		}
		if x.call("alice", "1") != nil || !x.Alarms()[0].Active || x.Alarms()[0].ID != 2 {
			t.Fatal("what was spent before the release still counts, or nothing does")
		}
		time.Sleep(hour)
		if x.Alarms()[0].Active || x.call("alice", "1") == nil {
			t.Error("the stop outlasts its time")
		}
	})
}

func TestTotalAndAlarmOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newTollTest(TollConfig{Status: 503, Spending: []Spending{
			{Name: "all", Per: hour, Total: Budget{Calls: 3}, Action: StopNew, Via: []string{"carrier"}},
			{Name: "watch", Per: hour, User: Budget{Calls: 1}, Action: Notify},
		}})
		for _, user := range []string{"alice", "bob", "", "alice"} {
			if x.call(user, "1") == nil {
				t.Fatalf("%s is refused", user)
			}
		}
		if len(x.raised()) != 2 || x.raised()[0].Spending != "all" || x.raised()[0].User != "" || x.raised()[1].Spending != "watch" || x.raised()[1].Active {
			t.Fatalf("%+v", x.raised())
		}
		_, no := x.Place(Toll{User: "carol", Number: "1", Via: "carrier"}, func(string) {})
		if no == nil || no.Status != 503 {
			t.Errorf("%+v", no)
		}
		if _, no = x.Place(Toll{User: "carol", Number: "1", Via: "pbx"}, func(string) {}); no != nil {
			t.Error("another trunk is stopped, too")
		}
		time.Sleep(10 * time.Minute) // they talk on
		synctest.Wait()
		if len(x.raised()) != 2 {
			t.Errorf("an alarm is told again: %+v", x.raised())
		}
	})
}

// A call that ended, was never answered or was told of twice counts as what it was.
func TestMeterIsTolerant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newTollTest(TollConfig{Spending: []Spending{{Name: "s", Per: hour, User: Budget{Talked: hour}, Action: StopNew}}})
		m, _ := x.Place(Toll{User: "alice"}, nil)
		m.Ended()
		m.Answered()
		if s := x.Stats(); s.Calls != 0 || s.Accounts != 0 {
			t.Errorf("%+v", s)
		}
		m = x.call("alice", "1")
		m.Answered()
		time.Sleep(time.Minute + 300*time.Millisecond)
		m.Ended()
		m.Ended()
		x.mu.Lock()
		talked, calls := x.books[account{"s", "alice"}].window.spent(time.Now(), hour)
		running := x.books[account{"s", "alice"}].running
		x.mu.Unlock()
		if talked != time.Minute+300*time.Millisecond || calls != 1 || running != 0 {
			t.Errorf("%v, %d calls, %d running", talked, calls, running)
		}
		restored, _ := x.Place(Toll{User: "alice", Running: true}, nil)
		time.Sleep(time.Minute)
		restored.Ended()
		x.mu.Lock()
		talked, calls = x.books[account{"s", "alice"}].window.spent(time.Now(), hour)
		x.mu.Unlock()
		if talked != 2*time.Minute+300*time.Millisecond || calls != 1 {
			t.Errorf("with the restored one %v, %d calls", talked, calls)
		}
	})
}

// A reload moves running calls to where they belong now, and forgets what is no more.
func TestReloadMovesRunningCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newTollTest(TollConfig{Spending: []Spending{{Name: "old", Per: hour, User: Budget{Talked: hour}, Action: EndAll}}})
		m := x.call("alice", "1")
		time.Sleep(59 * time.Minute)
		x.Reload(TollConfig{Spending: []Spending{{Name: "new", Per: hour, User: Budget{Talked: 2 * time.Minute}, Action: EndAll}}})
		if s := x.Stats(); s.Calls != 1 || s.Accounts != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if len(x.raised()) != 0 {
			t.Errorf("what is no more counts: %+v", x.raised())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(x.raised()) != 1 || x.endedOf("alice") != 1 {
			t.Errorf("%+v", x.raised())
		}
		m.Ended()
	})
}

// However many users come, there are so many books only, and those who are stopped or talk are not forgotten.
func TestBooksAreBounded(t *testing.T) {
	t.Parallel()
	x := newTollTest(TollConfig{Spending: []Spending{{Name: "s", Per: hour, User: Budget{Calls: 1}, Action: StopNew}}})
	x.call("thief", "1").Ended()
	x.call("thief", "1").Ended()
	x.call("talker", "1")
	for i := range mostBooks + mostBooks/4 {
		x.call(fmt.Sprint(i), "1").Ended()
	}
	if n := x.Stats().Accounts; n > mostBooks {
		t.Errorf("%d books", n)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.books[account{"s", "thief"}] == nil || x.books[account{"s", "talker"}] == nil {
		t.Error("who matters was forgotten")
	}
}
