package bridge

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
)

// Nobody sees a direct call's media, so its ends are asked whether they still know it: whatever they say the call goes on, but for 481.
func TestDirectCallIsWatched(t *testing.T) {
	t.Parallel()
	for _, restored := range []bool{false, true} {
		w := directWorld(t, func(with *conditions) { with.bridge.Watch = 50 * time.Millisecond })
		d := w.talks()
		for _, status := range []int{200, 405, 500} {
			for _, end := range []*siptest.Dialog{d.caller, d.callee} {
				in, err := end.Expect(w.ctx(), sip.OPTIONS)
				w.check(err)
				w.check(in.Respond(siptest.Reply{Status: status}))
			}
		}
		if restored {
			w.check(w.bridge.Restore(w.takenDown()))
		}
		asking, over := context.WithCancel(w.ctx())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for { // one may have been under way when the call was dropped
				in, err := d.callee.Expect(asking, sip.OPTIONS)
				if err != nil {
					return
				}
				_ = in.Respond(siptest.Reply{Status: 481})
			}
		}()
		bye, err := d.caller.Expect(w.ctx(), sip.BYE)
		w.check(err)
		w.check(bye.Respond(siptest.Reply{Status: 200}))
		if r := w.record(); r.Reason != "dialog-lost" || r.By != byCallee {
			t.Errorf("the record is %+v", r)
		}
		over()
		<-done
	}
}

// A minute between the questions, none while one is open, and none where the media is relayed; silence ends the call.
func TestWatchOfDirectCalls(t *testing.T) {
	silence := func(transaction.Outbound) *sip.Response { return nil }
	for _, c := range []struct {
		name   string
		direct bool
		answer func(transaction.Outbound) *sip.Response
		heard  string // by the callee in ten minutes
	}{
		{"who answers", true, ok(), strings.TrimSpace(strings.Repeat("OPTIONS ", 10))},
		{"who refuses", true, refused(404), strings.TrimSpace(strings.Repeat("OPTIONS ", 10))},
		{"who is slow", true, nil, "OPTIONS"},
		{"who is silent", true, silence, "OPTIONS"},
		{"behind a proxy that finds nobody", true, refused(408), "OPTIONS"},
		{"whose media is relayed", false, ok(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				caller, callee := &scripted{answer: ok()}, &scripted{answer: c.answer}
				call := established(caller, callee)
				hear(call, func() {
					call.direct, call.caller.neg.Direct, call.callee.neg.Direct = c.direct, c.direct, c.direct
					call.watch()
				})
				time.Sleep(10*time.Minute + time.Second)
				synctest.Wait()
				if got := callee.methods(); got != c.heard {
					t.Errorf("the callee heard %q, want %q", got, c.heard)
				}
				lost := c.name == "who is silent" || c.name == "behind a proxy that finds nobody"
				if ended := call.bridge.Stats().CallsEnded["dialog-lost"]; (ended == 1) != lost || lost != strings.HasSuffix(caller.methods(), "BYE") {
					t.Errorf("%d calls lost, the caller heard %q", ended, caller.methods())
				}
				if !lost {
					hear(call, func() { call.fail(shuttingDown()) })
				}
				time.Sleep(time.Minute)
			})
		})
	}
}
