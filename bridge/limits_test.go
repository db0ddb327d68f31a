package bridge

import (
	"net/netip"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/sipside"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// refusedAtOnce calls, and returns the refusal that comes back without anybody having been asked.
func (w *world) refusedAtOnce(b *wsstest.Browser, to string) *sip.Response {
	w.t.Helper()
	c, err := b.Invite(w.ctx(), to, wsstest.InviteOptions{})
	w.check(err)
	w.check(c.Wait(w.ctx(), wsstest.Ended))
	return c.Responses()[len(c.Responses())-1]
}

// up is a call that was answered by an agent.
func (w *world) up(b *wsstest.Browser, to string, agent *siptest.Agent) *siptest.Dialog {
	w.t.Helper()
	c, err := b.Invite(w.ctx(), to, wsstest.InviteOptions{})
	w.check(err)
	d := w.answered(agent, w.rtp(), 440)
	w.check(c.Wait(w.ctx(), wsstest.Confirmed))
	return d
}

// A user has so many calls at once, whatever others have; a call that ended makes room, and a reload changes the cap while calls run.
func TestLimitOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Limits: admission.Limits{User: admission.Cap{Calls: 1}, Emergency: []string{"112"}}}})
	alice, bob := w.registered("alice", wsstest.Options{}), w.registered("bob", wsstest.Options{})
	d := w.up(alice, "600", w.agents[0])
	if res := w.refusedAtOnce(alice, "601"); res.StatusCode != 503 || header(res, "Retry-After") == "" || header(res, "Reason") == "" {
		t.Errorf("the second call got\n%s", res.String())
	}
	w.up(bob, "600", w.agents[0])
	w.up(alice, "112", w.agents[0])
	w.check(d.Bye(w.ctx()))
	w.until("two calls", func() bool { return w.bridge.Stats().Admission.Calls == 2 })
	w.bridge.Reload(nil, nil, admission.Limits{User: admission.Cap{Calls: 1}, Status: 486})
	if res := w.refusedAtOnce(alice, "601"); res.StatusCode != 486 || header(res, "Retry-After") != "" {
		t.Errorf("the emergency call does not count: %s", res.StartLine())
	}
	w.bridge.Reload(nil, nil, admission.Limits{User: admission.Cap{Calls: 2}})
	w.up(alice, "601", w.agents[0])
	if s := w.bridge.Stats().Admission; s.Refused[admission.UserCalls] != 2 || s.Users != 2 || s.Sources != 1 {
		t.Errorf("%+v", s)
	}
}

// Calls count by the address that they come from, whoever makes them there, and those of backends and browsers together in the process.
func TestLimitOfProcessAndSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{bridge: Config{Limits: admission.Limits{
		Process: admission.Cap{Calls: 2}, Source: admission.Cap{Calls: 1},
	}}})
	alice, bob := w.registered("alice", wsstest.Options{}), w.registered("bob", wsstest.Options{})
	w.up(alice, "600", w.agents[0])
	if res := w.refusedAtOnce(bob, "601"); res.StatusCode != 503 {
		t.Errorf("from one address there came %s", res.StartLine())
	}
	w.bridge.Reload(nil, nil, admission.Limits{Process: admission.Cap{Calls: 1}, Except: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if res := w.refusedAtOnce(bob, "601"); res.StatusCode != 503 {
		t.Errorf("the process takes %s", res.StartLine())
	}
	incoming, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	if res, err := incoming.Final(w.ctx()); err != nil || res.StatusCode != 503 {
		t.Errorf("the backend's call got %v, %v", res, err)
	}
	if s := w.bridge.Stats().Admission; s.Refused[admission.SourceCalls] != 1 || s.Refused[admission.ProcessCalls] != 2 || s.Calls != 1 {
		t.Errorf("%+v", s)
	}
}

// A member that is full is passed over as one that is down; when all are, the caller hears that at once.
func TestFullMemberIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 2, caps: []admission.Cap{{Calls: 1}, {Calls: 2}}, order: sipside.Priority})
	alice := w.registered("alice", wsstest.Options{})
	took := make(chan int, 4)
	for i, agent := range w.agents {
		for range 3 {
			w.meanwhile(func() {
				in, err := agent.Expect(t.Context(), sip.INVITE)
				if err != nil {
					return
				}
				took <- i
				answer, err := w.rtp().Answer(in.SDP())
				if err == nil {
					in.Accept(t.Context(), siptest.Reply{SDP: answer})
				}
			})
		}
	}
	var at [2]int
	for range 3 {
		c, err := alice.Invite(w.ctx(), "600", wsstest.InviteOptions{})
		w.check(err)
		w.check(c.Wait(w.ctx(), wsstest.Confirmed))
		at[<-took]++
	}
	if at != [2]int{1, 2} {
		t.Errorf("the members have %v calls", at)
	}
	if s := w.bridge.Stats(); s.Failovers != 0 || len(s.Members) != 2 {
		t.Errorf("a full member was asked: %d failovers, %+v", s.Failovers, s.Members)
	}
	if res := w.refusedAtOnce(alice, "600"); res.StatusCode != 503 || header(res, "Retry-After") == "" {
		t.Errorf("with all full: %s", res.StartLine())
	}
	for name, refused := range w.bridge.Stats().Members {
		if refused["calls"] != 1 || refused["rate"] != 0 {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// The answer to a challenge is no second call: its rate was paid.
func TestChallengedCallCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{handler: challengeOnce(sip.INVITE, "one", make(chan *sip.Request, 8)), bridge: Config{
		Limits:   admission.Limits{User: admission.Cap{Rate: 0.001}, Process: admission.Cap{Rate: 0.001}},
		Peerings: map[string]Peering{"pbx": {Quota: Quota{Cap: admission.Cap{Rate: 0.001}}}},
	}})
	b := w.registered("alice", wsstest.Options{})
	if res := w.refusedAtOnce(b, "600"); res.StatusCode != 401 {
		t.Errorf("the first INVITE got %s", res.StartLine())
	}
	for _, status := range []int{180, 503} {
		call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio(), Headers: []sip.Header{signed("one")}})
		w.check(err)
		w.until("a response", func() bool { all := call.Responses(); return len(all) > 0 && all[len(all)-1].StatusCode == status })
	}
}
