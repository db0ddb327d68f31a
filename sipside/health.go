package sipside

import (
	"time"

	"github.com/emiago/sipgo/sip"
)

// health is how a backend is, as far as probes and traffic say.
type health int

const (
	fit     health = iota
	resting        // traffic says that it is better left alone for a while
	dead           // probes say that it does not answer
)

const (
	silenceRest = 10 * time.Second // after as many silent requests in a row as make a probed member down
	restLongest = 5 * time.Minute  // of what a Retry-After asks for
	leastShare  = 0.05             // of a member that begins to start slowly
)

// streak counts answers and failures in a row; a table without I/O.
type streak struct{ answers, failures int }

// verdict takes one outcome of a probe and says whether the backend is down after it.
func (s *streak) verdict(down, answered bool, p Probe) bool {
	if answered {
		s.answers, s.failures = s.answers+1, 0
		return down && s.answers < p.UpAfter
	}
	s.answers, s.failures = 0, s.failures+1
	return down || s.failures >= p.DownAfter
}

// health is the backend's now.
func (b *Backend) health(now time.Time) health {
	switch {
	case b.down.Load():
		return dead
	case now.UnixNano() < b.restUntil.Load():
		return resting
	}
	return fit
}

// Alive says whether neither probes nor traffic found it unable to work.
func (b *Backend) Alive() bool { return b.health(time.Now()) == fit }

// Ready says whether it is to get new requests: it is alive, not drained and still in its pool.
func (b *Backend) Ready() bool { return b.Alive() && !b.leaves() }

// Suspect reports that real traffic got no answer. As many of these in a row as there may be failed probes let it rest; the next
// probe is sent at once.
func (b *Backend) Suspect() {
	if int(b.silences.Add(1)) >= b.settings.Load().probe.DownAfter {
		b.silences.Store(0)
		b.rest(silenceRest, "no answers")
	}
	b.rouse()
}

// rouse makes the watch look at once.
func (b *Backend) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// rest passes the backend over for a while, if it does not rest for longer.
func (b *Backend) rest(d time.Duration, why string) {
	until := time.Now().Add(min(d, restLongest)).UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	if until <= b.restUntil.Load() {
		return
	}
	if b.health(time.Now()) == fit {
		b.e.log.Warn("backend rests", "backend", b.name, "time", min(d, restLongest), "reason", why)
	}
	b.restUntil.Store(until)
	if !b.down.Load() {
		b.why.Store(&why)
	}
}

// hear learns from the responses to real traffic: a 503 is about the server (RFC 3261 §21.5.4), which concerns the backend where it
// has no other; and whoever says more than 100 is not silent.
func (b *Backend) hear(res *sip.Response) {
	switch {
	case res.StatusCode == sip.StatusServiceUnavailable:
		if b.Another() {
			return
		}
		if after := seconds(res.GetHeader("Retry-After")); after > 0 {
			b.rest(after, "503 with Retry-After")
			return
		}
		b.Suspect()
	case res.StatusCode > 100 && res.StatusCode != sip.StatusRequestTimeout && b.silences.Load() != 0:
		b.silences.Store(0)
	}
}

// outcome takes a probe's answer (nil) or failure, and logs a change once; the handler is told of a backend that went down.
func (b *Backend) outcome(failure error) {
	if !b.judge(failure) {
		return
	}
	if h := b.e.handler.Load(); h != nil {
		(*h).BackendDown(b)
	}
}

// judge is outcome, and says whether the backend went down.
func (b *Backend) judge(failure error) (went bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.down.Load()
	now := b.streak.verdict(was, failure == nil, b.settings.Load().probe)
	switch {
	case now && !was:
		b.e.log.Warn("backend is down", "backend", b.name, "failures", b.streak.failures, "error", failure)
	case was && !now:
		b.recovered()
		b.e.log.Info("backend is up", "backend", b.name, "latency", time.Duration(b.latency.Load()))
	case failure != nil:
		b.e.log.Debug("probe", "backend", b.name, "error", failure)
	}
	if now && failure != nil {
		text := failure.Error()
		b.why.Store(&text)
	}
	b.down.Store(now)
	return now && !was
}

// recovered forgets what spoke against the backend. Called with mu held.
func (b *Backend) recovered() {
	b.silences.Store(0)
	b.restUntil.Store(0)
	b.since.Store(time.Now().UnixNano())
}

// unwatched is a backend that is probed no more, or never was: what probes found is no longer so.
func (b *Backend) unwatched() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streak = streak{}
	b.latency.Store(0)
	if b.down.Swap(false) {
		b.recovered()
		b.e.log.Info("backend is not probed any more, and counts as up", "backend", b.name)
	}
}

// latencyWeight is the weight of the average before a new round trip.
const latencyWeight = 8

// measured takes a probe's round trip into the moving average.
func (b *Backend) measured(d time.Duration) {
	if before := b.latency.Load(); before != 0 {
		d = time.Duration(before) + (d-time.Duration(before))/latencyWeight
	}
	b.latency.Store(int64(max(d, 1)))
}

// share is how much of what would be its own it gets: it rises evenly over slow-start once it is up again or new.
func (b *Backend) share(now time.Time) float64 {
	since, span := b.since.Load(), b.settings.Load().slowStart
	if since == 0 || span == 0 {
		return 1
	}
	return min(1, max(leastShare, float64(now.UnixNano()-since)/float64(span)))
}

// The values of Backend.State.
const (
	StateUp       = "up"
	StateStarting = "starting" // up again or new, and not yet at its whole share
	StateResting  = "resting"  // see resting
	StateDown     = "down"     // see dead
	StateDraining = "draining" // it takes no new calls and has some
	StateDrained  = "drained"  // it takes no new calls and has none any more
)

// States are all values of Backend.State.
func States() []string {
	return []string{StateUp, StateStarting, StateResting, StateDown, StateDraining, StateDrained}
}

// State is a backend's condition in one word: one of States.
func (b *Backend) State() string {
	now := time.Now()
	switch {
	case b.leaves() && b.calls.Load() == 0:
		return StateDrained
	case b.leaves():
		return StateDraining
	case b.health(now) == dead:
		return StateDown
	case b.health(now) == resting:
		return StateResting
	case b.share(now) < 1:
		return StateStarting
	}
	return StateUp
}

// reason is why it is down or rests; "" where it does neither.
func (b *Backend) reason() string {
	if why := b.why.Load(); why != nil && !b.Alive() {
		return *why
	}
	return ""
}

// leaves says whether it is to get no new requests, whatever its health.
func (b *Backend) leaves() bool {
	return b.drained.Load() || b.retired.Load() || b.settings.Load().drain
}

// CallBegins and CallEnds count the calls that a backend has a leg of.
func (b *Backend) CallBegins() { b.calls.Add(1) }

// CallEnds tells when a backend that takes no new calls is empty.
func (b *Backend) CallEnds() {
	if b.calls.Add(-1) == 0 && b.leaves() {
		b.empty()
		b.rouse()
	}
}

func (b *Backend) empty() { b.e.log.Info("backend is drained: it has no calls", "backend", b.name) }

// Drain lets a backend take no new requests, or again some; its calls go on.
func (b *Backend) Drain(on bool) {
	if b.drained.Swap(on) == on {
		return
	}
	if !on {
		b.e.log.Info("backend takes new calls again", "backend", b.name, "calls", b.calls.Load())
		return
	}
	b.e.log.Info("backend takes no new calls", "backend", b.name, "calls", b.calls.Load())
	if b.calls.Load() == 0 {
		b.empty()
	}
}
