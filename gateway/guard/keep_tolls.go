package guard

import (
	"maps"
	"slices"
	"time"
)

// KeptTolls is what Tolls know that outlives the process.
type KeptTolls struct {
	Accounts []KeptAccount `json:"accounts,omitempty"`
	Alarms   []Alarm       `json:"alarms,omitempty"` // newest last
	Last     uint64        `json:"last,omitempty"`   // the newest alarm's ID
}

// KeptAccount is what was spent, by one user or with "" by all, on a Spending.
type KeptAccount struct {
	Spending string      `json:"spending"`
	User     string      `json:"user,omitempty"`
	Spent    []KeptSpent `json:"spent,omitempty"`
	Alarmed  bool        `json:"alarmed,omitempty"`
	Stopped  uint64      `json:"stopped,omitempty"` // by this alarm
	Until    time.Time   `json:"until,omitzero"`    // of the stop; zero: until it is released
}

// KeptSpent is what was spent from a time on.
type KeptSpent struct {
	Began  time.Time     `json:"began"`
	Talked time.Duration `json:"talked,omitempty"` // nanoseconds
	Calls  int           `json:"calls,omitempty"`
}

// keptAtOnce is how many accounts are copied while calls wait.
const keptAtOnce = 256

// Changes grows with each change of what Keep gives.
func (t *Tolls) Changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// Keep gives what is to outlive the process; calls that run are counted up to the last second.
func (t *Tolls) Keep() (k KeptTolls) {
	t.mu.Lock()
	k.Alarms, k.Last = slices.Clone(t.alarms), t.last
	all := slices.Collect(maps.Keys(t.books))
	t.mu.Unlock()
	for some := range slices.Chunk(all, keptAtOnce) {
		k.Accounts = t.keepSome(k.Accounts, some)
	}
	return k
}

func (t *Tolls) keepSome(to []KeptAccount, some []account) []KeptAccount {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, of := range some {
		b := t.books[of]
		if b == nil { // meanwhile
			continue
		}
		a := KeptAccount{Spending: of.spending, User: of.user, Alarmed: b.alarmed}
		if b.stop != nil {
			a.Stopped, a.Until = b.stop.alarm, b.stop.until
		}
		for _, p := range b.window.parts {
			a.Spent = append(a.Spent, KeptSpent{p.began, p.talked, p.calls})
		}
		to = append(to, a)
	}
	return to
}

// Restore takes what another process kept. It is called before the first Reload, which forgets what it does not name.
func (t *Tolls) Restore(k KeptTolls) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alarms, t.last = slices.Clone(k.Alarms[max(0, len(k.Alarms)-mostAlarms):]), k.Last
	for _, a := range k.Accounts[:min(len(k.Accounts), mostBooks)] {
		b := &book{alarmed: a.Alarmed}
		if a.Stopped != 0 {
			b.stop = &stop{alarm: a.Stopped, until: a.Until}
		}
		for _, p := range a.Spent {
			b.window.parts = append(b.window.parts, part{p.Began, p.Talked, p.Calls})
		}
		t.books[account{a.Spending, a.User}] = b
	}
}
