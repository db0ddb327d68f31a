// Package admission says whether one more call may be made: by how many there are and how fast they come, and by what the
// machine has left. It knows no SIP but the statuses of its refusals.
package admission

import (
	"math"
	"strconv"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Limits that refuse calls, as metrics name them.
const (
	Calls        = "calls"         // at once, of a pool, trunk or member
	Rate         = "rate"          // new ones a second, of a pool, trunk or member
	UserCalls    = "user-calls"    //
	UserRate     = "user-rate"     //
	SourceCalls  = "source-calls"  //
	SourceRate   = "source-rate"   //
	ProcessCalls = "process-calls" //
	ProcessRate  = "process-rate"  //
	CPU          = "cpu"           //
	Memory       = "memory"        //
	Ports        = "ports"         //
)

// Cap is how many calls there may be. The zero value caps nothing.
type Cap struct {
	Calls int     // at once; 0: any
	Rate  float64 // new ones a second; 0: any
}

// Refusal is a call that is not let in.
type Refusal struct {
	Limit  string // one of the above
	Status int    // 503, 480 or 486
	Why    string // for a Reason header
}

// Quota counts the calls of one party against a Cap. Safe for concurrent use.
type Quota struct {
	cap        atomic.Pointer[capped]
	running    atomic.Int64
	full, fast atomic.Uint64
}

// capped is immutable but for the limiter's own state.
type capped struct {
	Cap
	rate *rate.Limiter // nil: any
}

// NewQuota counts from zero.
func NewQuota(c Cap) *Quota {
	q := &Quota{}
	q.Set(c)
	return q
}

// Set takes another cap in the place of the present one; what runs counts on.
func (q *Quota) Set(to Cap) {
	if now := q.cap.Load(); now != nil && now.Cap == to {
		return
	}
	q.cap.Store(&capped{Cap: to, rate: limiter(to.Rate)})
}

// limiter lets through a second's worth at once; nil for any rate.
func limiter(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst(perSecond))
}

func burst(perSecond float64) int { return max(1, int(math.Ceil(perSecond))) }

// Take lets a call in, or says which limit it is over: Calls or Rate. Whoever took releases once. again is a call whose rate was
// paid before: the answer to a challenge.
func (q *Quota) Take(again bool) (limit, why string) {
	running, c := q.running.Add(1), q.cap.Load()
	switch {
	case c.Calls > 0 && running > int64(c.Calls):
		q.full.Add(1)
		limit, why = Calls, tooMany(c.Calls)
	case !again && c.rate != nil && !c.rate.Allow():
		q.fast.Add(1)
		limit, why = Rate, tooFast(c.Rate)
	default:
		return "", ""
	}
	q.running.Add(-1)
	return limit, why
}

// Keep counts a call that comes in whatever the cap.
func (q *Quota) Keep() { q.running.Add(1) }

// Release is the end of a call that was let in.
func (q *Quota) Release() { q.running.Add(-1) }

// Spent says whether a call that came now would be refused.
func (q *Quota) Spent() bool {
	c := q.cap.Load()
	return c.Calls > 0 && q.running.Load() >= int64(c.Calls) || c.rate != nil && c.rate.Tokens() < 1
}

// Stats are how many run, and how many were refused by each limit.
func (q *Quota) Stats() (running int, refused map[string]uint64) {
	return int(q.running.Load()), map[string]uint64{Calls: q.full.Load(), Rate: q.fast.Load()}
}

func tooMany(calls int) string { return "no more than " + strconv.Itoa(calls) + " calls at once" }

func tooFast(perSecond float64) string {
	return "no more than " + strconv.FormatFloat(perSecond, 'g', -1, 64) + " new calls a second"
}
