package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// A trunk that has to prove itself by digest does so for each request outside a dialog; who does not is challenged, and no browser rings.
func TestTrunkIsChallenged(t *testing.T) {
	t.Parallel()
	gate := identity.NewGate(identity.GateConfig{Secrets: identity.OneUser{Username: "carrier", Password: "secret"}})
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {Untrusted: true, Gate: gate}}}})
	b := w.registered("alice", wsstest.Options{})
	for name, c := range map[string]struct{ user, password string }{
		"no credentials": {}, "a wrong password": {"carrier", "wrong"}, "another user": {"mallory", "secret"},
	} {
		for _, method := range []sip.RequestMethod{sip.INVITE, sip.MESSAGE, sip.SUBSCRIBE, sip.REGISTER} {
			call := siptest.Call{To: w.toBrowser("alice"), User: c.user, Password: c.password}
			if method == sip.INVITE {
				call.SDP = w.rtp().Offer("sendrecv")
			}
			res, err := w.agents[0].Do(w.ctx(), method, call)
			w.check(err)
			refused := res.StatusCode == 401 && strings.HasPrefix(header(res, "WWW-Authenticate"), `Digest realm="127.0.0.1", nonce=`)
			if method != sip.REGISTER && !refused || method == sip.REGISTER && res.StatusCode < 400 {
				t.Errorf("%s, %s:\n%s", name, method, res.String())
			}
		}
	}
	if res, err := w.agents[0].Do(w.ctx(), sip.OPTIONS, siptest.Call{To: w.toBrowser("alice")}); err != nil || res.StatusCode != 200 {
		t.Errorf("OPTIONS: %v, %v", res, err)
	}

	m := w.rtp()
	m.Tone(1000)
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: m.Offer("sendrecv"), User: "carrier", Password: "secret"})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	if got := call.Invitation(); got.GetHeader("Authorization") != nil {
		t.Errorf("the browser sees the credentials\n%s", got.String())
	}
	w.check(call.Answer(w.ctx()))
	res, err := out.Final(w.ctx())
	w.check(err)
	d, err := out.Ack(res, "")
	w.check(err)
	w.check(m.Connect(string(res.Body())))
	w.check(call.Media().WaitTone(w.ctx(), 1000))
	w.check(d.Bye(w.ctx())) // within the dialog nobody asks
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if n := w.bridge.Stats().CallsStarted; n != 1 {
		t.Errorf("%d calls", n)
	}
}
