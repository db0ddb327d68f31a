package bridge

import (
	"sync/atomic"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// overloadedFirst has a trunk of two servers, of which the first says 503 to everything; asked counts its requests.
func overloadedFirst(t *testing.T, second func(*siptest.Incoming) bool) (w *world, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	return newWorld(t, conditions{members: 2, trunk: true, handler: func(member int) func(*siptest.Incoming) bool {
		if member == 1 {
			return second
		}
		return func(in *siptest.Incoming) bool {
			asked.Add(1)
			return overloaded(in)
		}
	}}), asked
}

func overloaded(in *siptest.Incoming) bool {
	in.Respond(siptest.Reply{Status: 503, Headers: []sip.Header{sip.NewHeader("Retry-After", "60")}})
	return true
}

// RFC 3263 §4.3: a 503 of one of a trunk's servers leads to the next, whatever is asked; the first is left alone then, and the trunk
// is well.
func TestNextServerOfATrunkAfter503(t *testing.T) {
	t.Parallel()
	for _, method := range []sip.RequestMethod{sip.INVITE, sip.MESSAGE, sip.REGISTER} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			w, asked := overloadedFirst(t, func(in *siptest.Incoming) bool {
				if method := in.Request().Method; method == sip.INVITE || method == sip.MESSAGE {
					in.Respond(siptest.Reply{Status: 486})
					return true
				}
				return false
			})
			b := w.browser(wsstest.Options{})
			for range 2 {
				switch method {
				case sip.INVITE:
					call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
					w.check(err)
					w.check(call.Wait(w.ctx(), wsstest.Ended))
					if call.Status() != 486 {
						t.Errorf("the browser heard %d, want the second server's 486", call.Status())
					}
				case sip.MESSAGE:
					if res := <-w.sends(b, text(b.NewRequest(sip.MESSAGE, "bob"), "text/plain", "hello")); res.StatusCode != 486 {
						t.Errorf("the browser heard %d, want the second server's 486", res.StatusCode)
					}
				case sip.REGISTER:
					_, err := b.Register(w.ctx(), "alice", "")
					w.check(err)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("the first server was asked %d times", n)
			}
			if state := w.sip.Backend("pbx").State(); state != "up" {
				t.Errorf("the trunk is %s", state)
			}
		})
	}
}

// Where all its servers say so, the trunk rests, and the browser hears no 503.
func TestAllServersOfATrunkSay503(t *testing.T) {
	t.Parallel()
	w, _ := overloadedFirst(t, overloaded)
	call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 480 {
		t.Errorf("the browser heard %d", call.Status())
	}
	if tried := w.record().Tried; len(tried) != 2 {
		t.Errorf("tried %q", tried)
	}
	if state := w.sip.Backend("pbx").State(); state != "resting" {
		t.Errorf("the trunk is %s", state)
	}
}
