package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// trunkWorld is a trunk that challenges each INVITE and BYE; its answers' parameters say with what.
func trunkWorld(t *testing.T, first, second string) *world {
	return newWorld(t, conditions{
		routes: []route.Rule{{From: "browsers", To: "pbx"}},
		bridge: Config{Peerings: map[string]Peering{"pbx": {Username: "4930123", Password: "its own", Own: true}}},
		handler: func(int) func(*siptest.Incoming) bool {
			return func(in *siptest.Incoming) bool {
				method, challenge := in.Request().Method, first
				if method != sip.INVITE && method != sip.BYE {
					return false
				}
				if got := header(in.Request(), "Proxy-Authorization"); got != "" {
					if second == "" || !strings.Contains(got, `nonce="n1"`) {
						return false
					}
					challenge = second
				}
				h := sip.NewHeader("Proxy-Authenticate", "Digest "+challenge)
				return in.Respond(siptest.Reply{Status: 407, Headers: []sip.Header{h}}) == nil
			}
		},
	})
}

// A nonce that the trunk gave once serves the next call, until the trunk wants another.
func TestTrunkNonceServesAgain(t *testing.T) {
	t.Parallel()
	w := trunkWorld(t, `realm="t", nonce="n1", qop="auth"`, "")
	b := w.browser(wsstest.Options{})
	for i, want := range []struct {
		seq uint32
		nc  string
	}{{2, "nc=00000001"}, {1, "nc=00000002"}, {1, "nc=00000003"}} {
		call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
		w.check(err)
		in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
		w.check(err)
		if got := header(in.Request(), "Proxy-Authorization"); in.Request().CSeq().SeqNo != want.seq || !strings.Contains(got, want.nc) {
			t.Errorf("call %d: CSeq %d, %s", i, in.Request().CSeq().SeqNo, got)
		}
		w.check(in.Respond(siptest.Reply{Status: 486}))
		w.check(call.Wait(w.ctx(), wsstest.Ended))
	}
	done := w.sends(b, b.NewRequest(sip.MESSAGE, "600"))
	in := w.replies(w.agents[0], sip.MESSAGE, 202)
	if got := header(in.Request(), "Proxy-Authorization"); !strings.Contains(got, "nc=00000004") {
		t.Errorf("MESSAGE with %s", got)
	}
	<-done
}

// A trunk's challenges are answered by the gateway, in the call's INVITE and within its dialog; the browser sees none of it.
func TestTrunkChallenges(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]string{
		"MD5 without qop":  `realm="t", nonce="n1"`,
		"SHA-256 auth":     `realm="t", nonce="n1", algorithm=SHA-256, qop="auth"`,
		"SHA-512-256 both": `realm="t", nonce="n1", algorithm=SHA-512-256, qop="auth,auth-int"`,
		"auth-int":         `realm="t", nonce="n1", algorithm=MD5, qop="auth-int"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := trunkWorld(t, challenge, "")
			b := w.browser(wsstest.Options{})
			call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
			w.check(err)
			in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
			w.check(err)
			if got := header(in.Request(), "Proxy-Authorization"); !strings.Contains(got, `username="4930123"`) || in.Request().CSeq().SeqNo != 2 {
				t.Errorf("CSeq %d, %s", in.Request().CSeq().SeqNo, got)
			}
			answer, err := w.rtp().Answer(in.SDP())
			w.check(err)
			d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
			w.check(err)
			w.check(call.Wait(w.ctx(), wsstest.Confirmed))
			if call.Status() == 401 || call.Status() == 407 {
				t.Errorf("the browser saw %d", call.Status())
			}
			gone := make(chan error, 1)
			w.meanwhile(func() { gone <- call.Bye(w.ctx()) })
			bye, err := d.Expect(w.ctx(), sip.BYE)
			w.check(err)
			got, seq := header(bye.Request(), "Proxy-Authorization"), uint32(4)
			if strings.Contains(challenge, "qop") { // the nonce is used again
				seq = 3
			}
			if bye.Request().CSeq().SeqNo != seq || strings.Contains(got, "nc=00000002") != (seq == 3) || got == "" {
				t.Errorf("BYE with CSeq %d, %s", bye.Request().CSeq().SeqNo, got)
			}
			w.check(bye.Respond(siptest.Reply{Status: 200}))
			w.check(<-gone)
		})
	}
}

func TestTrunkChallengesAgain(t *testing.T) {
	t.Parallel()
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		w := trunkWorld(t, `realm="t", nonce="n1"`, `realm="t", nonce="n2", stale=true`)
		call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{})
		w.check(err)
		in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
		w.check(err)
		if in.Request().CSeq().SeqNo != 3 || !strings.Contains(header(in.Request(), "Proxy-Authorization"), `nonce="n2"`) {
			t.Errorf("the third INVITE is\n%s", in.Request())
		}
		w.check(in.Respond(siptest.Reply{Status: 486}))
		w.check(call.Wait(w.ctx(), wsstest.Ended))
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		w := trunkWorld(t, `realm="t", nonce="n1"`, `realm="t", nonce="n2"`)
		call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{})
		w.check(err)
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		if call.Status() != 403 {
			t.Errorf("the browser got %d", call.Status())
		}
	})
}
