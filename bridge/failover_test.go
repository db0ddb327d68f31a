package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// behave makes the agents of a world answer each INVITE by their own function; the others' INVITEs wait for Expect.
func behave(by ...func(*siptest.Incoming)) func(member int) func(*siptest.Incoming) bool {
	return func(member int) func(*siptest.Incoming) bool {
		return func(in *siptest.Incoming) bool {
			switch method := in.Request().Method; {
			case method == sip.INVITE && tagOf(in.Request().To().Params) == "" && member < len(by) && by[member] != nil:
				by[member](in)
				return true
			case method == sip.CANCEL:
				in.Respond(siptest.Reply{Status: 200})
				return true
			}
			return false
		}
	}
}

func replies(statuses ...int) func(*siptest.Incoming) {
	return func(in *siptest.Incoming) {
		for _, status := range statuses {
			in.Respond(siptest.Reply{Status: status})
		}
	}
}

// silentFor is a TryTimeout that a test waits for, and in which a busy machine's next member has answered.
const silentFor = 5 * time.Second

// The member that was asked first fails: the next is tried.
func TestFailover(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		bad  func(*siptest.Incoming)
	}{
		{"503", replies(503)},
		{"408", replies(408)},
		{"100 and then 503", replies(100, 503)},
		{"nothing but 100", replies(100)},
		{"nothing at all", replies()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{members: 2, bridge: Config{TryTimeout: silentFor},
				handler: behave(test.bad, replies(180, 486))})
			w.registerWith(0)
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != 486 {
				t.Errorf("the browser heard %d, want the second member's 486", call.Status())
			}
			r := w.record()
			if len(r.Tried) != 2 || r.Tried[0] == r.Tried[1] || w.bridge.Stats().Failovers == 0 {
				t.Errorf("tried %q, %d failovers", r.Tried, w.bridge.Stats().Failovers)
			}
		})
	}
}

// A member that refuses the connection is passed over at once.
func TestFailoverOnRefusedConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{dead: true, bridge: Config{TryTimeout: 10 * time.Second}, handler: behave(replies(486))})
	for _, member := range w.sip.Pool("pbx").Order(nil) {
		if name := member.Name(); name != "pbx/"+w.agents[0].Addr().String() {
			w.registerAt(name)
		}
	}
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 486 {
		t.Errorf("the browser heard %d", call.Status())
	}
	if r := w.record(); len(r.Tried) != 2 {
		t.Errorf("tried %q", r.Tried)
	}
}

// registerWith makes one member the registrar of what registers next, so that calls go there first.
func (w *world) registerWith(member int) {
	w.t.Helper()
	w.registerAt("pbx/" + w.agents[member].Addr().String())
}

func (w *world) registerAt(backend string) {
	w.order = func(aor string) {
		for _, binding := range w.store.ByAOR(aor) {
			binding.Backend = backend
			w.store.Put(binding)
		}
	}
}

// Never after a 180 or 183.
func TestNoFailoverAfterRinging(t *testing.T) {
	t.Parallel()
	for _, status := range []int{180, 183} {
		t.Run(phrase(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{members: 2, handler: behave(replies(status, 503), replies(486))})
			w.registerWith(0)
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if call.Status() != 480 {
				t.Errorf("the browser heard %d, want 480 for the 503", call.Status())
			}
			if r := w.record(); len(r.Tried) != 1 {
				t.Errorf("tried %q", r.Tried)
			}
		})
	}
}

// All members fail: 480, never a 503.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 2, handler: behave(replies(503), replies(503))})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 480 {
		t.Errorf("the browser heard %d", call.Status())
	}
}

// A member that answers after it was given up gets ACK and BYE.
func TestLateAnswerIsHungUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{members: 2, bridge: Config{TryTimeout: silentFor}, handler: behave(nil, replies(180))})
	w.registerWith(0)
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	late, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ringing)) // by the second member
	answer, err := w.rtp().Answer(late.SDP())
	w.check(err)
	d, err := late.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	if s := call.State(); s != wsstest.Ringing {
		t.Errorf("the browser's call is %v", s)
	}
}

const challenge = `Digest realm="pbx", nonce="%", algorithm=MD5, qop="auth"`

// challenges answers INVITEs without credentials for this nonce by 401, others by 486.
func challenges(nonce string, seen chan<- *sip.Request) func(*siptest.Incoming) {
	return func(in *siptest.Incoming) {
		seen <- in.Request()
		if strings.Contains(header(in.Request(), "Authorization"), `"`+nonce+`"`) {
			in.Respond(siptest.Reply{Status: 486})
			return
		}
		header := sip.NewHeader("WWW-Authenticate", strings.Replace(challenge, "%", nonce, 1))
		in.Respond(siptest.Reply{Status: 401, Headers: []sip.Header{header}})
	}
}

// Credentials go to the member that issued the nonce, on the same leg, whatever the pool's order says.
func TestCredentialsReachTheirIssuer(t *testing.T) {
	t.Parallel()
	first, second := make(chan *sip.Request, 4), make(chan *sip.Request, 4)
	w := newWorld(t, conditions{members: 2, handler: behave(challenges("one", first), challenges("two", second))})
	b := w.browser(wsstest.Options{})
	b.SetUser("alice", "secret")
	for range 4 {
		call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
		w.check(err)
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		if call.Status() != 486 {
			t.Fatalf("the browser heard %d, want 486 after the challenge", call.Status())
		}
		member := first
		if len(second) > 0 {
			member = second
		}
		if len(first)+len(second) != 2 {
			t.Fatalf("%d INVITEs at the first member, %d at the second", len(first), len(second))
		}
		bare, signed := <-member, <-member
		if signed.CallID().Value() != bare.CallID().Value() || tagOf(signed.From().Params) != tagOf(bare.From().Params) ||
			signed.CSeq().SeqNo != bare.CSeq().SeqNo+1 {
			t.Errorf("not on the same leg:\n%s\n%s", bare.String(), signed.String())
		}
	}
}

// The issuer dies between challenge and credentials: the next member challenges anew, and the browser hears stale=true.
func TestDeadIssuerMeansStale(t *testing.T) {
	t.Parallel()
	seen := make(chan *sip.Request, 8)
	issuer := func(in *siptest.Incoming) {
		if header(in.Request(), "Authorization") != "" {
			in.Respond(siptest.Reply{Status: 503})
			return
		}
		challenges("one", seen)(in)
	}
	w := newWorld(t, conditions{members: 2, handler: behave(issuer, challenges("two", seen))})
	w.registerWith(0)
	b := w.registered("alice", wsstest.Options{})
	b.SetUser("alice", "secret")
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 486 {
		t.Errorf("the browser heard %d, want the second member's 486", call.Status())
	}
	stale := false
	for _, res := range call.Responses() {
		stale = stale || strings.Contains(header(res, "WWW-Authenticate"), "stale=true")
	}
	if !stale {
		t.Error("no challenge said stale=true")
	}
}

// A challenge that no browser can answer is 403, and the log names vouch.
func TestUnusableChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{handler: behave(func(in *siptest.Incoming) {
		in.Respond(siptest.Reply{Status: 401, Headers: []sip.Header{
			sip.NewHeader("WWW-Authenticate", `Digest realm="pbx", nonce="n", algorithm=SHA-256, qop="auth"`),
		}})
	})})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 403 {
		t.Errorf("the browser heard %d", call.Status())
	}
	w.until("the log to name vouch", func() bool { return strings.Contains(w.log.String(), "vouch") })
}

// A forked second 2xx gets ACK and BYE; the call goes on with the first.
func TestForkedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	b := w.browser(wsstest.Options{})
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	answer, err := w.rtp().Answer(in.SDP())
	w.check(err)
	first, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer, Tag: "one"})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	second, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer, Tag: "two"})
	w.check(err)
	bye, err := second.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	if tags := call.ToTags(); len(tags) != 1 || call.State() != wsstest.Confirmed {
		t.Errorf("the browser saw tags %q and is %v", tags, call.State())
	}
	w.check(first.Bye(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}
