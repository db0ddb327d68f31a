package bridge

import (
	"context"
	"time"
)

// farewell is how long Shutdown waits for the answers to its BYEs.
const farewell = 3 * time.Second

// Shutdown takes no new calls (503), lets running ones end until ctx is done, then sends BYE on both legs of the rest and
// waits a moment for the answers. The error is ctx's where calls had to be ended.
func (b *Bridge) Shutdown(ctx context.Context) error {
	b.draining.Store(true)
	select {
	case <-b.calls.empty():
		return nil
	case <-ctx.Done():
	}
	for _, c := range b.calls.all() {
		c.post("shutdown", c.onShutdown)
	}
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-b.calls.empty():
	case <-patience.C:
	}
	return context.Cause(ctx)
}
