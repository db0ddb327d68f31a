package bridge

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

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

	w.provedBy(b, "")
}

// provedBy has the PBX call a browser, as the carrier, with an algorithm's credentials; hangs up, and finds no other call was there.
func (w *world) provedBy(b *wsstest.Browser, algorithm identity.Algorithm) {
	w.t.Helper()
	before := w.bridge.Stats().CallsStarted
	m := w.rtp()
	m.Tone(1000)
	out, err := w.agents[0].Invite(siptest.Call{To: w.toBrowser("alice"), SDP: m.Offer("sendrecv"), User: "carrier", Password: "secret", Algorithm: string(algorithm)})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	if got := call.Invitation(); got.GetHeader("Authorization") != nil {
		w.t.Errorf("the browser sees the credentials\n%s", got.String())
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
	if n := w.bridge.Stats().CallsStarted - before; n != 1 {
		w.t.Errorf("%d calls", n)
	}
}

// A trunk is offered SHA-512-256, SHA-256 and MD5, a header each, and takes what it knows; a nonce serves a second call, and an old one is stale.
func TestTrunkChoosesAnAlgorithm(t *testing.T) {
	t.Parallel()
	gate := identity.NewGate(identity.GateConfig{Secrets: identity.OneUser{Username: "carrier", Password: "secret"}, Algorithms: identity.Algorithms()})
	w := newWorld(t, conditions{bridge: Config{Peerings: map[string]Peering{"pbx": {Untrusted: true, Gate: gate}}}})
	b := w.registered("alice", wsstest.Options{})
	res, err := w.agents[0].Do(w.ctx(), sip.INVITE, siptest.Call{To: w.toBrowser("alice"), SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	var offered []string
	for _, h := range res.GetHeaders("WWW-Authenticate") {
		c, err := digest.ParseChallenge(h.Value())
		w.check(err)
		offered = append(offered, c.Algorithm)
	}
	if got := strings.Join(offered, " "); res.StatusCode != 401 || got != "SHA-512-256 SHA-256 MD5" {
		t.Errorf("offered %q in\n%s", got, res)
	}
	for _, algorithm := range append(identity.Algorithms(), "") {
		w.provedBy(b, algorithm)
	}
	strongest, err := digest.ParseChallenge(res.GetHeader("WWW-Authenticate").Value())
	w.check(err)
	nobody := w.toBrowser("alice")
	nobody.User = "nobody"
	for i, test := range []struct {
		count  int
		refuse bool
	}{{1, false}, {1, true}, {2, false}} {
		c, err := digest.Digest(strongest, digest.Options{Method: "MESSAGE", URI: nobody.String(), Count: test.count, Username: "carrier", Password: "secret"})
		w.check(err)
		res, err := w.agents[0].Do(w.ctx(), sip.MESSAGE, siptest.Call{To: nobody, Headers: []sip.Header{sip.NewHeader("Authorization", c.String())}})
		w.check(err)
		if stale := len(res.GetHeaders("WWW-Authenticate")) == 3 && strings.Contains(res.String(), "stale=true"); stale != test.refuse || (res.StatusCode == 401) != test.refuse {
			t.Errorf("credentials %d:\n%s", i, res)
		}
	}
}
