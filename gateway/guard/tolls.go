package guard

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Action is what becomes of who spent too much.
type Action string

// The actions of a Spending.
const (
	StopNew Action = "stop"  // new calls are refused
	EndAll  Action = "end"   // running ones are ended, too
	Notify  Action = "alarm" // nothing but the alarm
)

// Spending bounds what is spent on some destinations.
type Spending struct {
	Name   string
	Match  func(number string) bool // nil: every destination
	Via    []string                 // the pools and trunks that count; none: all
	Per    time.Duration
	User   Budget // of each user
	Total  Budget // of all together
	Action Action
}

func (s Spending) covers(c Toll) bool {
	return (len(s.Via) == 0 || slices.Contains(s.Via, c.Via)) && (s.Match == nil || s.Match(c.Number))
}

// budget is that of one user, or with "" that of all.
func (s Spending) budget(user string) Budget {
	if user == "" {
		return s.Total
	}
	return s.User
}

// TollConfig is what Tolls obey.
type TollConfig struct {
	Spending []Spending
	Hold     time.Duration // after which a stop ends by itself; 0: somebody has to release it
	Status   int           // of refusals
}

// Toll is a call on its way to a destination that may cost.
type Toll struct {
	User    string // "": nobody in particular
	Number  string // as it goes on
	Via     string // the pool or trunk
	Running bool   // it runs already, and is counted from now on
}

// account is whose spending is counted: a user's, or with "" that of all.
type account struct{ spending, user string }

// book is what an account spent.
type book struct {
	window  window
	running int   // metered calls
	stop    *stop // nil: it may spend
	alarmed bool  // told, where nothing else is to be done
}

type stop struct {
	alarm uint64
	until time.Time // zero: until it is released
}

// Tolls watch what is spent on calls: minutes as they are talked, and calls answered. Who spends too much raises an Alarm and is
// stopped. Safe for concurrent use; memory is bounded.
type Tolls struct {
	// static after construction
	log   *slog.Logger
	raise func(Alarm) // without mu held; must not block

	mu      sync.Mutex // guards what follows
	cfg     TollConfig
	books   map[account]*book
	meters  map[*Meter]struct{}  // of calls that were answered
	spent   map[account]struct{} // since they were judged last
	tick    *time.Timer
	ticking bool
	alarms  []Alarm // newest last
	last    uint64  // alarm
	raised  map[string]uint64
	refused map[string]uint64
	changes uint64 // of what Keep gives
}

const (
	tollTick  = time.Second // how often running calls are looked at
	mostBooks = 1 << 16
)

// NewTolls watch nothing yet. raise gets each alarm; nil: nobody does.
func NewTolls(log *slog.Logger, raise func(Alarm)) *Tolls {
	if raise == nil {
		raise = func(Alarm) {}
	}
	t := &Tolls{
		log: log, raise: raise, books: map[account]*book{}, meters: map[*Meter]struct{}{},
		spent: map[account]struct{}{}, raised: map[string]uint64{}, refused: map[string]uint64{},
	}
	return t
}

// Reload takes another configuration. What was spent on a Spending of the same name stays, and so do its stops; running calls count
// on where they belong now.
func (t *Tolls) Reload(cfg TollConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for m := range t.meters {
		m.accrue(now)
		t.leave(m)
	}
	t.cfg = cfg
	for of := range t.books {
		if t.spending(of.spending) == nil {
			t.close(of)
		}
	}
	for m := range t.meters {
		t.enter(m)
	}
}

// spending is the one of a name; nil: there is none.
func (t *Tolls) spending(name string) *Spending {
	i := slices.IndexFunc(t.cfg.Spending, func(s Spending) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &t.cfg.Spending[i]
}

// accounts are where a call counts.
func (t *Tolls) accounts(c Toll) (all []account) {
	for _, s := range t.cfg.Spending {
		if !s.covers(c) {
			continue
		}
		if c.User != "" && !s.User.none() {
			all = append(all, account{s.Name, c.User})
		}
		if !s.Total.none() {
			all = append(all, account{s.Name, ""})
		}
	}
	return all
}

// Refused is a call that its user or destination may not make now.
type Refused struct {
	Status int
	Why    string
}

// Place asks for a call to a destination. end ends it; it must not block. Whoever placed tells the Meter of the answer and of the end.
func (t *Tolls) Place(c Toll, end func(why string)) (*Meter, *Refused) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &Meter{tolls: t, toll: c, end: end}
	if c.Running {
		m.answered(time.Now(), 0)
		return m, nil
	}
	now := time.Now()
	for _, of := range t.accounts(c) {
		if b := t.books[of]; b != nil && t.stopped(b, now) {
			t.refused[of.spending]++
			t.log.Info("call refused", "reason", "toll fraud", "spending", of.spending, "user", c.User, "number", c.Number, "alarm", b.stop.alarm)
			return nil, &Refused{Status: t.cfg.Status, Why: stoppedWhy}
		}
	}
	return m, nil
}

const stoppedWhy = "stopped for toll fraud"

// stopped says whether an account may not spend; a stop whose time is over lets it begin anew.
func (t *Tolls) stopped(b *book, now time.Time) bool {
	if b.stop != nil && !b.stop.until.IsZero() && !now.Before(b.stop.until) {
		b.stop, b.window = nil, window{}
	}
	return b.stop != nil
}

// Meter counts one call.
type Meter struct {
	tolls *Tolls
	toll  Toll
	end   func(why string)

	// guarded by tolls.mu
	counts []account // where it counts, while it runs
	until  time.Time // up to when it was counted
	runs   bool
	over   bool
}

// Answered begins to count. Safe to call twice.
func (m *Meter) Answered() { m.tolls.settle(func(now time.Time) { m.answered(now, 1) }) }

// Ended counts no more. Safe to call twice, and without an answer.
func (m *Meter) Ended() {
	m.tolls.settle(func(now time.Time) {
		m.over = true
		if !m.runs {
			return
		}
		m.accrue(now)
		m.runs = false
		delete(m.tolls.meters, m)
		m.tolls.leave(m)
	})
}

// settle does something that may spend, and then stops who spent too much.
func (t *Tolls) settle(do func(now time.Time)) {
	t.mu.Lock()
	now := time.Now()
	do(now)
	alarms, calls := t.judge(now)
	t.mu.Unlock()
	for _, a := range alarms { // whoever hears of it may ask back
		t.log.Warn("toll fraud", "alarm", a.ID, "spending", a.Spending, "user", a.User, "minutes", strconv.FormatFloat(a.Minutes, 'f', 1, 64),
			"calls", a.Calls, "limit", a.Limit, "action", a.Action, "until", a.end())
		t.raise(a)
	}
	for _, m := range calls {
		m.end(stoppedWhy)
	}
}

// answered counts a call from now on.
func (m *Meter) answered(now time.Time, calls int) {
	if m.runs || m.over {
		return
	}
	t := m.tolls
	m.runs, m.until = true, now
	t.meters[m] = struct{}{}
	t.enter(m)
	for _, of := range m.counts {
		t.spend(of, now, 0, calls)
	}
	if !t.ticking {
		t.ticking = true
		t.tick = time.AfterFunc(tollTick, t.look)
	}
}

// enter has a running call count where it belongs.
func (t *Tolls) enter(m *Meter) {
	m.counts = t.accounts(m.toll)
	for _, of := range m.counts {
		t.book(of).running++
	}
}

func (t *Tolls) leave(m *Meter) {
	for _, of := range m.counts {
		t.books[of].running--
	}
	m.counts = nil
}

// accrue spends what a running call talked since it was counted last.
func (m *Meter) accrue(now time.Time) {
	talked := now.Sub(m.until)
	m.until = now
	for _, of := range m.counts {
		m.tolls.spend(of, now, talked, 0)
	}
}

// spend writes into an account's book, which is to be judged then.
func (t *Tolls) spend(of account, now time.Time, talked time.Duration, calls int) {
	t.books[of].window.spend(now, t.spending(of.spending).Per, talked, calls)
	t.spent[of] = struct{}{}
	t.changes++
}

// look counts what runs, again and again while anything does.
func (t *Tolls) look() {
	t.settle(func(now time.Time) {
		for m := range t.meters {
			m.accrue(now)
		}
		if t.ticking = len(t.meters) > 0; t.ticking {
			t.tick.Reset(tollTick)
		}
	})
}

// book opens that of an account.
func (t *Tolls) book(of account) *book {
	if b := t.books[of]; b != nil {
		return b
	}
	if len(t.books) >= mostBooks {
		t.sweep(time.Now())
	}
	b := &book{}
	t.books[of] = b
	return b
}

// sweep closes the books that tell nothing; where all tell something, those with the least of an eighth.
func (t *Tolls) sweep(now time.Time) {
	type closable struct {
		of     account
		talked time.Duration
	}
	var rest []closable
	for of, b := range t.books {
		talked, calls := b.window.spent(now, t.spending(of.spending).Per)
		switch {
		case b.running > 0 || t.stopped(b, now):
		case talked == 0 && calls == 0:
			t.close(of)
		default:
			rest = append(rest, closable{of, talked})
		}
	}
	if len(t.books) < mostBooks*7/8 {
		return
	}
	slices.SortFunc(rest, func(a, b closable) int { return int(a.talked - b.talked) })
	for _, c := range rest[:min(len(rest), mostBooks/8)] {
		t.close(c.of)
	}
}

// close forgets an account.
func (t *Tolls) close(of account) {
	delete(t.books, of)
	delete(t.spent, of)
}
