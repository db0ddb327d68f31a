package bridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// watched is a world of members that one failed probe finds dead, and that are looked at when one is suspected.
func watched(t *testing.T, members int, first func(*siptest.Incoming)) *world {
	t.Helper()
	invited := behave(first)
	handler := func(member int) func(*siptest.Incoming) bool {
		return func(in *siptest.Incoming) bool {
			if in.Request().Method != sip.OPTIONS {
				return invited(member)(in)
			}
			in.Respond(siptest.Reply{Status: 200})
			return true
		}
	}
	w := newWorld(t, conditions{members: members, handler: handler,
		probe: sipside.Probe{Every: time.Hour, Timeout: 20 * time.Second, DownAfter: 1, UpAfter: 1}})
	w.registerWith(0)
	return w
}

// dies has the first member go without a word, and waits until probes know it.
func (w *world) dies() {
	w.t.Helper()
	member := w.sip.Backend("pbx/" + w.agents[0].Addr().String())
	w.check(w.agents[0].Close())
	member.Suspect() // as traffic would
	w.until("probes find it dead", func() bool { return strings.Contains(w.log.String(), "backend is down") })
}

// A call that rings at a member that dies goes on to the next: where packets are refused there, and where it is just silent.
func TestRingingCallLeavesADeadMember(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(w *world){
		"refused": (*world).dies,
		"silent":  func(w *world) { w.bridge.BackendDown(w.sip.Backend("pbx/" + w.agents[0].Addr().String())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leavesADeadMember(t, die)
		})
	}
}

func leavesADeadMember(t *testing.T, die func(w *world)) {
	w := watched(t, 2, replies(180))
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ringing))
	die(w)
	in, err := w.agents[1].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 180}))
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	_, err = in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	if tags := call.ToTags(); len(tags) != 1 {
		t.Errorf("the browser heard tags %q", tags)
	}
	w.check(call.Bye(w.ctx()))
	if r := w.record(); len(r.Tried) != 2 || w.bridge.Stats().Failovers == 0 {
		t.Errorf("tried %q", r.Tried)
	}
}

// Without another member it goes on ringing, as it does where the caller heard early media.
func TestRingingCallStays(t *testing.T) {
	t.Parallel()
	early := func(t *testing.T) func(*siptest.Incoming) {
		m := openMedia(t)
		return func(in *siptest.Incoming) {
			answer, err := m.Answer(in.SDP())
			if err != nil {
				t.Error(err)
			}
			in.Respond(siptest.Reply{Status: 183, SDP: answer})
		}
	}
	for _, row := range []struct {
		name    string
		members int
		early   bool
	}{{"nobody else is there", 1, false}, {"early media", 2, true}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			first := replies(180)
			if row.early {
				first = early(t)
			}
			w := watched(t, row.members, first)
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
			w.check(err)
			w.until("it rings", func() bool {
				return slices.ContainsFunc(call.Responses(), func(r *sip.Response) bool { return r.StatusCode > 100 })
			})
			w.bridge.BackendDown(w.sip.Backend("pbx/" + w.agents[0].Addr().String()))
			w.check(call.Cancel(w.ctx()))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if r := w.record(); len(r.Tried) != 1 || r.Reason != "cancelled" {
				t.Errorf("tried %q, %s", r.Tried, r.Reason)
			}
		})
	}
}
