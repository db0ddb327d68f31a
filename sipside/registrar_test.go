package sipside

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A binding is renewed before it passes, a failure is followed by longer and longer waits that a success ends, and the end of the
// process takes the binding back.
func TestRegistrarInTime(t *testing.T) {
	t.Parallel()
	granted := func(d time.Duration) outcome { return outcome{verdict: regGranted, time: d} }
	failed := outcome{verdict: regFailed}
	script := []struct {
		outcome
		longest time.Duration // until the next REGISTER, which comes up to a fifth sooner
	}{
		{outcome{verdict: regChallenged}, 0},
		{granted(time.Hour), 54 * time.Minute},
		{granted(time.Hour), 54 * time.Minute},
		{failed, 30 * time.Second},
		{failed, time.Minute},
		{outcome{verdict: regFailed, time: 10 * time.Minute}, 10 * time.Minute},
		{outcome{verdict: regTooBrief, time: 2 * time.Hour}, 0},
		{granted(2 * time.Hour), 108 * time.Minute},
		{outcome{verdict: regForbidden}, time.Hour},
		{granted(time.Minute), 30 * time.Second},
		{granted(time.Hour), 54 * time.Minute},
	}
	synctest.Test(t, func(t *testing.T) {
		e := &Endpoints{log: slog.New(slog.DiscardHandler), leaving: make(chan struct{})}
		e.ctx, e.cancel = context.WithCancel(t.Context())
		r := newRegistrar(&Backend{e: e, name: "trunk"}, Account{Username: "u", Register: true})
		last, sent := time.Now(), 0
		var over atomic.Bool
		var asked []time.Duration
		r.send = func(asks time.Duration) outcome {
			asked = append(asked, asks)
			if sent == len(script) {
				over.Store(true)
				return granted(asks)
			}
			if longest := time.Duration(0); sent > 0 {
				longest = script[sent-1].longest
				if waited := time.Since(last); waited > longest || waited < longest*4/5-time.Nanosecond {
					t.Errorf("REGISTER %d comes after %v, not %v", sent, waited, longest)
				}
			}
			last = time.Now()
			sent++
			return script[sent-1].outcome
		}
		go r.run()
		for !over.Load() {
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if !r.registered.Load() {
			t.Error("not registered at the end")
		}
		close(e.leaving)
		<-r.done
		if end := asked[len(asked)-1]; end != 0 || r.registered.Load() {
			t.Errorf("the last REGISTER asks for %v", end)
		}
		if asked[len(asked)-2] != 2*time.Hour {
			t.Errorf("after 423 %v is asked for", asked[len(asked)-2])
		}
	})
}
