package identity

import (
	"context"
	"sync"
	"time"
)

// pace makes refusals take the same time, whatever a service that knows the users takes to say that it knows one: as long as the
// slowest of its answers lately. Safe for concurrent use.
type pace struct {
	mu sync.Mutex
	// guarded by mu
	slowest, before time.Duration // in this window, and in the one before
	began           time.Time
}

// paceWindow is for how long at least a slow answer holds refusals up.
const paceWindow = 30 * time.Second

// keep notes an answer, and holds a refusal until it has taken its time, or ctx ends.
func (p *pace) keep(ctx context.Context, asked, answered time.Time, refused bool) {
	took := answered.Sub(asked)
	wait := p.note(took, answered) - took
	if !refused || wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// note gives how long a refusal is to take.
func (p *pace) note(took time.Duration, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.began) >= paceWindow {
		p.before, p.slowest, p.began = p.slowest, 0, now
	}
	p.slowest = max(p.slowest, took)
	return max(p.slowest, p.before)
}
