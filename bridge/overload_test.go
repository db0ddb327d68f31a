package bridge

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"tandem/wss/wsstest"
)

// offered lets calls come at a rate for a number of windows and gives how many were let in during the last of them.
func (o *overload) offered(now *time.Time, windows, each int) (last int) {
	for range windows {
		last = 0
		for i := range each {
			if o.admit(now.Add(time.Duration(i) * overloadWindow / time.Duration(each))) {
				last++
			}
		}
		*now = now.Add(overloadWindow)
	}
	return last
}

func TestOverload(t *testing.T) {
	t.Parallel()
	waited, now := time.Duration(0), time.Unix(1, 0)
	o := &overload{delay: func() (time.Duration, bool) { return waited, true }}
	if n := o.offered(&now, 10, 40); n != 40 {
		t.Errorf("%d of 40 let in without delay", n)
	}
	waited = 2 * overloadDelay
	if n := o.offered(&now, 2, 40); n != 40 {
		t.Errorf("%d of 40 let in during a short burst", n)
	}
	if n := o.offered(&now, 1, 40); n != 26 {
		t.Errorf("%d of 40 let in after three windows of delay, want a third less", n)
	}
	if n := o.offered(&now, 20, 40); n != overloadLeast {
		t.Errorf("%d let in under lasting delay, want %d", n, overloadLeast)
	}
	waited = 0
	if n := o.offered(&now, 5, 40); n <= overloadLeast || n >= 20 {
		t.Errorf("%d let in soon after the delay, want a slow rise", n)
	}
	if n := o.offered(&now, 4*overloadCalm, 40); n != 40 || o.limit != 0 {
		t.Errorf("%d of 40 let in long after the delay, limit %d", n, o.limit)
	}
}

func TestOverloadForgetsWhenNothingComes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	o := &overload{delay: func() (time.Duration, bool) { return time.Second, true }}
	if n := o.offered(&now, 20, 40); n != overloadLeast {
		t.Fatalf("%d let in under delay", n)
	}
	now = now.Add(time.Minute)
	if n := o.offered(&now, 1, 40); n != 40 {
		t.Errorf("%d of 40 let in after a minute without calls", n)
	}
}

// Goroutines that spin keep the rest waiting: the runtime's own figures show it.
func TestSchedulerDelay(t *testing.T) {
	s := newSchedulerDelay()
	s.since()
	stop, done := make(chan struct{}), make(chan struct{})
	const spinning = 32
	for range spinning {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
					for range 1 << 20 {
					}
					runtime.Gosched()
				}
			}
		}()
	}
	deadline := time.Now().Add(time.Minute)
	var waited time.Duration
	pause := 500 * time.Millisecond
	for known := false; waited < time.Millisecond && time.Now().Before(deadline); pause *= 2 { // for many waits on a machine that others starve
		over := time.NewTimer(pause)
		<-over.C
		if waited, known = s.since(); !known {
			waited = 0
		}
	}
	close(stop)
	for range spinning {
		<-done
	}
	if waited < time.Millisecond {
		t.Errorf("nine tenths waited %v at most while %d goroutines spin", waited, spinning)
	}
}

// An overloaded gateway refuses a new call at once and with a reason, and goes on serving those that run.
func TestOverloadedBridge(t *testing.T) {
	t.Parallel()
	k := newTalk(t, conditions{}, wsstest.Options{})
	o := k.bridge.overload
	o.mu.Lock()
	o.began, o.admitted, o.limit = time.Now().Add(time.Hour), 1, 1 // a window that does not end, and is full
	o.mu.Unlock()
	late, err := k.browser.Invite(k.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	k.check(err)
	k.check(late.Wait(k.ctx(), wsstest.Ended))
	last := late.Responses()[len(late.Responses())-1]
	if last.StatusCode != 503 || !strings.Contains(header(last, "Reason"), "overloaded") || header(last, "Retry-After") == "" {
		t.Errorf("a new call heard\n%s", last.String())
	}
	if s := k.bridge.Stats(); s.Overloads != 1 || s.CallsStarted != 1 {
		t.Errorf("stats %+v", s)
	}
	k.check(k.call.Update(k.ctx()))
	k.hangUp()
}
