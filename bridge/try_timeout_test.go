package bridge

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/sipside/transaction"
	"tandem/wss/wsstest"
)

// A slow member that is the best one left is not given up: it answers long after try-timeout.
func TestTryTimeoutWaitsForTheLast(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		dead   bool
		at100  bool
		status int
	}{
		{"a pool of one, after 100", false, true, 486},
		{"a pool of one, silent", false, false, 486},
		{"the rest is dead, after 100", true, true, 486},
		{"the rest is dead, silent", true, false, 486},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{dead: test.dead, probe: sipside.Probe{Every: time.Minute, Timeout: time.Minute, DownAfter: 1, UpAfter: 1},
				bridge: Config{TryTimeout: time.Second}})
			if test.dead {
				w.until("the dead member to be known", func() bool { return strings.Contains(w.log.String(), "backend is down") })
			}
			w.registerWith(0)
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "603", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if test.at100 {
				w.check(in.Respond(siptest.Reply{Status: 100}))
			}
			w.until("try-timeout", func() bool { return strings.Contains(w.log.String(), "nobody better is left") })
			w.check(in.Respond(siptest.Reply{Status: 180}))
			w.check(call.Wait(w.ctx(), wsstest.Ringing))
			w.check(in.Respond(siptest.Reply{Status: test.status}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != test.status {
				t.Errorf("the browser heard %d", call.Status())
			}
			if r := w.record(); len(r.Tried) != 1 || w.bridge.Stats().Failovers != 0 {
				t.Errorf("tried %q, %d failovers", r.Tried, w.bridge.Stats().Failovers)
			}
		})
	}
}

// The last one's silence ends: 64·T1 without a word, the ring limit after a 100.
func TestTheLastMembersSilenceEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		with   conditions
		mute   bool // not even the 100 that a transaction sends by itself
		reason string
	}{
		{"not a word", conditions{timers: transaction.Config{T1: 100 * time.Millisecond}}, true, "unreachable"},
		{"nothing but 100", conditions{bridge: Config{RingLimit: silentFor}, handler: behave(replies(100))}, false, "ring-timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.with.bridge.TryTimeout = 50 * time.Millisecond
			w := newWorld(t, test.with)
			if test.mute {
				w.mute(0)
			}
			b := w.browser(wsstest.Options{})
			call, err := b.Invite(w.ctx(), "609", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != 480 {
				t.Errorf("the browser heard %d", call.Status())
			}
			if r := w.record(); r.Reason != test.reason {
				t.Errorf("record %+v", r)
			}
			if !strings.Contains(w.log.String(), "nobody better is left") {
				t.Error("the call ended before try-timeout")
			}
		})
	}
}

// mute puts a socket that says nothing in a member's place.
func (w *world) mute(member int) {
	w.t.Helper()
	at := w.agents[member].Addr().String()
	w.check(w.agents[member].Close())
	silent, err := net.ListenPacket("udp", at)
	w.check(err)
	w.t.Cleanup(func() { silent.Close() })
}
