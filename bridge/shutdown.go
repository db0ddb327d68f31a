package bridge

import (
	"context"
	"time"
)

// farewell is how long Shutdown waits for the answers to BYEs.
const farewell = 3 * time.Second

// Shutdown takes no new calls (503), lets running ones end until ctx is done, then sends BYE on both legs of the rest. For the
// answers to BYEs it waits no more than three seconds, whoever began. The error is ctx's where calls had to be ended.
func (b *Bridge) Shutdown(ctx context.Context) (err error) {
	b.draining.Store(true)
	select {
	case <-b.calls.silent():
	case <-ctx.Done():
		err = context.Cause(ctx)
		for _, c := range b.calls.all() {
			c.post("shutdown", c.onShutdown)
		}
	}
	b.subscriptions.close()
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-b.calls.empty():
	case <-patience.C:
	}
	return err
}
