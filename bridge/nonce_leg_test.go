package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A nonce of a REGISTER, or one that was used before, leads to its member but to no leg: two INVITEs with it at once are two
// dialogs. Only the first INVITE that answers an INVITE's challenge goes on where that was.
func TestANonceGivesItsLegOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		method sip.RequestMethod // whose challenge it is
		onLeg  int               // of the two INVITEs, those that go on where the challenge came from
	}{
		{"of a REGISTER", sip.REGISTER, 0},
		{"of an INVITE", sip.INVITE, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan *sip.Request, 8)
			w := newWorld(t, conditions{members: 2, handler: challengeOnce(test.method, "one", seen)})
			b := w.browser(wsstest.Options{})
			_, err := b.Register(w.ctx(), "alice", "secret")
			w.check(err)
			b.SetUser("alice", "")
			if test.method == sip.INVITE {
				call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
				w.check(err)
				w.check(call.Wait(w.ctx(), wsstest.Ended))
			}
			challenged := <-seen
			for range 2 {
				_, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio(), Headers: []sip.Header{signed("one")}})
				w.check(err)
			}
			first, second := <-seen, <-seen
			if first.CallID().Value() == second.CallID().Value() || tagOf(first.From().Params) == tagOf(second.From().Params) {
				t.Errorf("two INVITEs on one leg:\n%s\n%s", first.String(), second.String())
			}
			onLeg := 0
			for _, req := range []*sip.Request{first, second} {
				if header(req, "X-Member") != header(challenged, "X-Member") {
					t.Error("the credentials went to another member")
				}
				if req.CallID().Value() == challenged.CallID().Value() {
					onLeg++
					if tagOf(req.From().Params) != tagOf(challenged.From().Params) || req.CSeq().SeqNo != challenged.CSeq().SeqNo+1 {
						t.Errorf("not on the same leg:\n%s\n%s", challenged.String(), req.String())
					}
				}
			}
			if onLeg != test.onLeg {
				t.Errorf("%d INVITEs went on where the challenge came from, want %d", onLeg, test.onLeg)
			}
		})
	}
}

// challengeOnce makes agents answer a method without credentials by 401, and INVITEs with them by 180. What they challenged and
// what came signed is seen, with the member in X-Member.
func challengeOnce(method sip.RequestMethod, nonce string, seen chan<- *sip.Request) func(member int) func(*siptest.Incoming) bool {
	return func(member int) func(*siptest.Incoming) bool {
		see := func(req *sip.Request) {
			req = req.Clone()
			req.AppendHeader(sip.NewHeader("X-Member", decimal(member)))
			seen <- req
		}
		return func(in *siptest.Incoming) bool {
			req := in.Request()
			bare := header(req, "Authorization") == ""
			switch {
			case req.Method == method && bare:
				see(req)
				with := sip.NewHeader("WWW-Authenticate", strings.Replace(challenge, "%", nonce, 1))
				in.Respond(siptest.Reply{Status: 401, Headers: []sip.Header{with}})
				return true
			case req.Method == sip.INVITE:
				see(req)
				in.Respond(siptest.Reply{Status: 180})
				return true
			case req.Method == sip.CANCEL:
				in.Respond(siptest.Reply{Status: 200})
				return true
			}
			return false
		}
	}
}

// signed is an answer to a challenge; whether it is right is nobody's business here.
func signed(nonce string) sip.Header {
	return sip.NewHeader("Authorization", `Digest username="alice", realm="pbx", nonce="`+nonce+`", uri="sip:600@example.com", response="0"`)
}
