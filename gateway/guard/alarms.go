package guard

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Alarm says that a user, or all users together, spent more than a Spending allows.
type Alarm struct {
	ID       uint64    `json:"id"`
	At       time.Time `json:"at"`
	Spending string    `json:"spending"`       // its name
	User     string    `json:"user,omitempty"` // "": all together
	Minutes  float64   `json:"minutes"`        // talked within the span
	Calls    int       `json:"calls"`          // answered within it
	Limit    string    `json:"limit"`          // "60 minutes, 20 calls in 24h0m0s"
	Action   Action    `json:"action"`
	Active   bool      `json:"active"`            // calls are refused for it
	Until    time.Time `json:"until,omitzero"`    // when that ends by itself; zero: not before it is released
	Released time.Time `json:"released,omitzero"` // by somebody
}

// end says in words when the alarm's stop ends.
func (a Alarm) end() string {
	switch {
	case !a.Active:
		return "none"
	case a.Until.IsZero():
		return "released"
	}
	return a.Until.Format(time.RFC3339)
}

// mostAlarms are kept to be told.
const mostAlarms = 1000

// judge makes an alarm for each account that spent more than its budget, and stops it. The calls that it gives are to be ended.
// Called with mu held.
func (t *Tolls) judge(now time.Time) (alarms []Alarm, calls []*Meter) {
	for _, of := range t.spendthrifts(now) {
		s, b := t.spending(of.spending), t.books[of]
		alarm := t.alarm(of, s, b, now)
		alarms = append(alarms, alarm)
		if s.Action == Notify {
			b.alarmed = true
			continue
		}
		b.stop = &stop{alarm: alarm.ID, until: alarm.Until}
		if s.Action != EndAll {
			continue
		}
		for m := range t.meters {
			if slices.Contains(m.counts, of) {
				calls = append(calls, m)
			}
		}
	}
	return alarms, calls
}

// spendthrifts are the accounts that spent too much since they were judged last and are not stopped for it, in a fixed order.
func (t *Tolls) spendthrifts(now time.Time) (all []account) {
	for of := range t.spent {
		s, b := t.spending(of.spending), t.books[of]
		over := s.budget(of.user).over(b.window.spent(now, s.Per))
		if !over {
			b.alarmed = false
		}
		if over && !b.alarmed && !t.stopped(b, now) {
			all = append(all, of)
		}
	}
	clear(t.spent)
	slices.SortFunc(all, func(a, b account) int { return strings.Compare(a.spending+"\x00"+a.user, b.spending+"\x00"+b.user) })
	return all
}

// alarm tells of an account, once for each time that it spends too much.
func (t *Tolls) alarm(of account, s *Spending, b *book, now time.Time) Alarm {
	talked, calls := b.window.spent(now, s.Per)
	t.last++
	a := Alarm{
		ID: t.last, At: now, Spending: of.spending, User: of.user, Minutes: talked.Minutes(), Calls: calls,
		Limit: s.budget(of.user).in(s.Per), Action: s.Action, Active: s.Action != Notify,
	}
	if a.Active && t.cfg.Hold > 0 {
		a.Until = now.Add(t.cfg.Hold)
	}
	if len(t.alarms) == mostAlarms {
		t.alarms = slices.Delete(t.alarms, 0, 1)
	}
	t.alarms = append(t.alarms, a)
	t.raised[of.spending]++
	return a
}

// in gives a budget in words, as "60 minutes, 20 calls in 24h0m0s".
func (b Budget) in(per time.Duration) string {
	var parts []string
	if b.Talked > 0 {
		parts = append(parts, strconv.FormatFloat(b.Talked.Minutes(), 'g', -1, 64)+" minutes")
	}
	if b.Calls > 0 {
		parts = append(parts, strconv.Itoa(b.Calls)+" calls")
	}
	return strings.Join(parts, ", ") + " in " + per.String()
}

// Alarms are the newest ones, the newest first.
func (t *Tolls) Alarms() []Alarm {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	all := make([]Alarm, 0, len(t.alarms))
	for _, a := range slices.Backward(t.alarms) {
		if a.Active && !t.holds(a, now) {
			a.Active = false
		}
		all = append(all, a)
	}
	return all
}

// holds says whether an alarm's stop is in force.
func (t *Tolls) holds(a Alarm, now time.Time) bool {
	b := t.books[account{a.Spending, a.User}]
	return b != nil && t.stopped(b, now) && b.stop.alarm == a.ID
}

// Release ends the stop of an alarm, with 0 those of all, and forgets what was spent there. It returns how many stops ended.
func (t *Tolls) Release(alarm uint64) (released int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for of, b := range t.books {
		if !t.stopped(b, now) || alarm != 0 && b.stop.alarm != alarm {
			continue
		}
		if i := slices.IndexFunc(t.alarms, func(a Alarm) bool { return a.ID == b.stop.alarm }); i >= 0 {
			t.alarms[i].Active, t.alarms[i].Released = false, now
		}
		t.log.Warn("toll fraud released", "alarm", b.stop.alarm, "spending", of.spending, "user", of.user)
		b.stop, b.window = nil, window{}
		t.changes++
		released++
	}
	return released
}

// TollStats are the figures of Tolls.
type TollStats struct {
	Calls    int               // metered, running
	Accounts int               // that spent something
	Alarms   map[string]uint64 // raised, by spending
	Refused  map[string]uint64 // calls, by spending
	Stopped  map[string]int    // accounts that are, by spending
}

// Stats may be called at any time.
func (t *Tolls) Stats() TollStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := TollStats{Calls: len(t.meters), Accounts: len(t.books), Alarms: map[string]uint64{}, Refused: map[string]uint64{}, Stopped: map[string]int{}}
	now := time.Now()
	for _, of := range t.cfg.Spending {
		s.Alarms[of.Name], s.Refused[of.Name], s.Stopped[of.Name] = t.raised[of.Name], t.refused[of.Name], 0
	}
	for of, b := range t.books {
		if t.stopped(b, now) {
			s.Stopped[of.spending]++
		}
	}
	return s
}
