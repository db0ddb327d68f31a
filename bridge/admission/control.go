package admission

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits are the caps of the process and of everybody. The zero value limits nothing.
type Limits struct {
	Process Cap
	User    Cap            // of each user who calls
	Source  Cap            // of each address that calls come from; of IPv6 of each /64
	Except  []netip.Prefix // sources that Source does not cap

	// What the machine has to have left, as shares of 1; 0: it is not looked at.
	CPU    float64 // in use at most, of the processors that the process may use
	Memory float64 // in use at most
	Ports  float64 // free at least, of the range towards the SIP world

	Status    int      // of refusals: 503 (also 0), 480 or 486
	Emergency []string // numbers that nothing caps
}

// Load is what is in use, as shares of 1.
type Load struct{ CPU, Memory, Ports float64 }

// loadAge is for how long a Load is good.
const loadAge = time.Second

// Caller is who makes a call.
type Caller struct {
	User   string     // "": not known
	Source netip.Addr // the zero Addr: not known
}

// Call is what is asked for.
type Call struct {
	Number string
	Again  bool // its rate was paid before: the answer to a challenge
	Direct bool // it takes no ports
}

// Pass is a call that was let in. Its holder gives it back to Release once.
type Pass struct{ user, source string }

// Control admits calls by Limits. Safe for concurrent use.
type Control struct {
	// static after construction
	load func() Load // may be nil
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	limits  Limits
	rate    *party // of the process
	running int
	users   *table
	sources *table
	refused map[string]uint64
	latest  Load
	read    time.Time // when latest was
}

// NewControl makes one that limits nothing yet. load is asked once a second at most, while calls come; nil: there is no telling.
func NewControl(load func() Load, now func() time.Time) *Control {
	return &Control{
		load: load, now: now, rate: &party{}, users: newTable(tableLimit), sources: newTable(tableLimit), refused: map[string]uint64{},
	}
}

// Set takes other limits in the place of the present ones; what runs counts on.
func (c *Control) Set(to Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits.Process.Rate != to.Process.Rate {
		c.rate.rate = limiter(to.Process.Rate)
	}
	c.limits = to
	c.users.set(to.User)
	c.sources.set(to.Source)
}

// IsEmergency says whether a number, with or without parameters behind a semicolon, is one that nothing caps.
func (c *Control) IsEmergency(number string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isEmergency(number)
}

func (c *Control) isEmergency(number string) bool {
	number, _, _ = strings.Cut(number, ";")
	return number != "" && slices.Contains(c.limits.Emergency, number)
}

// Admit lets a call in, or says why not.
func (c *Control) Admit(by Caller, call Call) (*Pass, *Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEmergency(call.Number) {
		return c.keep(by), nil
	}
	now := c.now()
	p := c.passOf(by)
	limit, why := c.take(p, now, call)
	if limit == "" {
		c.running++
		return p, nil
	}
	c.refused[limit]++
	return nil, &Refusal{Limit: limit, Status: StatusOf(c.limits.Status), Why: why}
}

// take counts with the party first and the process last: who calls too often takes nothing from the others.
func (c *Control) take(p *Pass, now time.Time, call Call) (limit, why string) {
	if limit, why = c.headroom(now, call.Direct); limit != "" {
		return limit, why
	}
	if c.limits.Process.Calls > 0 && c.running >= c.limits.Process.Calls {
		return ProcessCalls, tooMany(c.limits.Process.Calls)
	}
	if p.user != "" {
		if limit, why = c.users.take(p.user, now, call.Again); limit != "" {
			return "user-" + limit, why + " of one user"
		}
	}
	if p.source != "" {
		if limit, why = c.sources.take(p.source, now, call.Again); limit != "" {
			c.giveBack(p.user, "", now)
			return "source-" + limit, why + " from one address"
		}
	}
	if !call.Again && c.rate.rate != nil && !c.rate.rate.AllowN(now, 1) {
		c.giveBack(p.user, p.source, now)
		return ProcessRate, tooFast(c.limits.Process.Rate)
	}
	return "", ""
}

func (c *Control) giveBack(user, source string, now time.Time) {
	if user != "" {
		c.users.release(user, now)
	}
	if source != "" {
		c.sources.release(source, now)
	}
}

// headroom says what of the machine is used up.
func (c *Control) headroom(now time.Time, direct bool) (limit, why string) {
	l := c.limits
	if c.load == nil || l.CPU == 0 && l.Memory == 0 && l.Ports == 0 {
		return "", ""
	}
	if c.read.IsZero() || now.Sub(c.read) >= loadAge {
		c.latest, c.read = c.load(), now
	}
	switch {
	case l.CPU > 0 && c.latest.CPU > l.CPU:
		return CPU, "no processor is left"
	case l.Memory > 0 && c.latest.Memory > l.Memory:
		return Memory, "no memory is left"
	case l.Ports > 0 && !direct && 1-c.latest.Ports < l.Ports:
		return Ports, "no ports are left"
	}
	return "", ""
}

// Keep counts a call whatever the limits say: one that was let in elsewhere and goes on here.
func (c *Control) Keep(by Caller) *Pass {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keep(by)
}

func (c *Control) keep(by Caller) *Pass {
	p, now := c.passOf(by), c.now()
	if p.user != "" {
		c.users.keep(p.user, now)
	}
	if p.source != "" {
		c.sources.keep(p.source, now)
	}
	c.running++
	return p
}

// Release is the end of a call that was let in.
func (c *Control) Release(p *Pass) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.giveBack(p.user, p.source, c.now())
}

// passOf says for which user and source address a caller is counted.
func (c *Control) passOf(by Caller) *Pass {
	p := &Pass{user: by.User}
	if at := by.Source.Unmap().WithZone(""); at.IsValid() && !slices.ContainsFunc(c.limits.Except, func(n netip.Prefix) bool { return n.Contains(at) }) {
		p.source = at.String()
		if at.Is6() { // one customer's network
			p.source = netip.PrefixFrom(at, 64).Masked().String()
		}
	}
	return p
}

// Stats are a Control's figures.
type Stats struct {
	Calls   int               // running
	Users   int               // that are counted
	Sources int               //
	Load    Load              // when it was last read; zero where nothing asks for it
	Refused map[string]uint64 // by limit
}

// Stats may be called at any time.
func (c *Control) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Calls: c.running, Users: len(c.users.parties), Sources: len(c.sources.parties), Load: c.latest, Refused: map[string]uint64{}}
	for _, limit := range []string{UserCalls, UserRate, SourceCalls, SourceRate, ProcessCalls, ProcessRate, CPU, Memory, Ports} {
		s.Refused[limit] = c.refused[limit]
	}
	return s
}

// StatusOf is the status of a refusal, which is 503 by default.
func StatusOf(status int) int {
	if status == 0 {
		return 503
	}
	return status
}
