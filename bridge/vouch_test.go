package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/golang-jwt/jwt/v5"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// passwords are Secrets of the tests: user name to password. Those of "slow" wait until they are let go.
type passwords struct {
	known map[string]string
	hold  chan struct{} // nil: nobody waits
}

func (p passwords) HA1(ctx context.Context, l identity.Login) (string, bool, error) {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return "", false, identity.ErrUnavailable
		}
	}
	password, ok := p.known[l.User]
	if !ok {
		return "", false, identity.ErrWrong
	}
	return identity.MD5.HA1(l.User, l.Realm, password), false, nil
}

const tokenSecret = "a secret of thirty-two characters"

// tokenFor is a token of the test's issuer.
func tokenFor(t *testing.T, sub string, life time.Duration) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: sub, ExpiresAt: jwt.NewNumericDate(time.Now().Add(life)),
	}).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// newGate knows alice and bob by password, and everybody by token.
func newGate(t *testing.T) *identity.Gate {
	t.Helper()
	tokens, err := identity.NewTokens(identity.TokenConfig{Secret: []byte(tokenSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return identity.NewGate(identity.GateConfig{
		Secrets: passwords{known: map[string]string{"alice": "secret", "bob": "secret2"}}, Tokens: tokens,
	})
}

func vouchRoutes() []route.Rule {
	return []route.Rule{{From: "browsers", To: "pbx", Register: route.Vouch}, {From: "pbx", To: "browsers"}}
}

// expectRequest takes a request that the agent got, and fails where credentials of the browser came with it.
func (w *world) expectRequest(method sip.RequestMethod) *siptest.Incoming {
	w.t.Helper()
	in, err := w.agents[0].Expect(w.ctx(), method)
	w.check(err)
	if h := in.Request().GetHeader("Authorization"); h != nil {
		w.t.Errorf("the browser's credentials went to the backend: %s", h.Value())
	}
	return in
}

func statusError(t *testing.T, err error) int {
	t.Helper()
	refused, ok := err.(*wsstest.StatusError)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	return refused.Response.StatusCode
}

// The gateway asks for the password, and registers and calls in the user's name; the backend trusts it.
func TestVouchByPassword(t *testing.T) {
	t.Parallel()
	registers := make(chan *sip.Request, 8)
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t), handler: func(int) func(*siptest.Incoming) bool {
		return func(in *siptest.Incoming) bool {
			if in.Request().Method == sip.REGISTER {
				registers <- in.Request()
			}
			return false
		}
	}})
	b := w.browser(wsstest.Options{})
	_, err := b.Register(w.ctx(), "alice", "secret")
	w.check(err)
	reg := <-registers
	if got := header(reg, "P-Asserted-Identity"); got != "<sip:alice@example.com>" || reg.GetHeader("Authorization") != nil {
		t.Errorf("P-Asserted-Identity %q, Authorization %v", got, reg.GetHeader("Authorization"))
	}

	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in := w.expectRequest(sip.INVITE)
	if got := header(in.Request(), "P-Asserted-Identity"); got != "<sip:alice@example.com>" {
		t.Errorf("P-Asserted-Identity %q", got)
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))

	// Somebody else's name over the same connection.
	b.SetUser("bob", "")
	call, err = b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 403 {
		t.Errorf("a call in another's name: %d", call.Status())
	}
}

// A stranger learns nothing: the answer for who is not known is that for a wrong password.
func TestVouchRefusesAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t)})
	shape := ""
	for _, who := range []struct{ user, password string }{{"alice", "wrong"}, {"nobody", "wrong"}} {
		b := w.browser(wsstest.Options{})
		res, err := b.Register(w.ctx(), who.user, who.password)
		if status := statusError(t, err); status != 401 {
			t.Errorf("%s: %d", who.user, status)
		}
		value := header(res, "WWW-Authenticate")
		nonce := value[strings.Index(value, `nonce="`)+7:]
		nonce = nonce[:strings.IndexByte(nonce, '"')]
		if value = strings.Replace(value, nonce, "", 1); shape != "" && shape != value {
			t.Errorf("%s, else %s", value, shape)
		}
		shape = value
	}
	b := w.browser(wsstest.Options{})
	req := b.NewRequest(sip.REGISTER, "sip:example.com")
	req.To().Address.User = "bob" // alice's password for bob's address
	contact := b.Contact()
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	b.SetUser("alice", "secret")
	if res, err := b.Do(w.ctx(), req); err != nil || res.StatusCode != 403 {
		t.Errorf("alice registers bob: %v, %v", res, err)
	}
	if w.store.Len() != 0 {
		t.Error("there is a binding")
	}
}

// Who is not registered proves itself for the one call.
func TestVouchChallengesInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t)})
	b := w.browser(wsstest.Options{})
	b.SetUser("alice", "secret")
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in := w.expectRequest(sip.INVITE)
	if in.Request().GetHeader("Proxy-Authorization") != nil {
		t.Error("the credentials went on")
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if got := call.Responses()[0].StatusCode; got != 407 {
		t.Errorf("first answer %d", got)
	}
	stranger := w.browser(wsstest.Options{})
	call, err = stranger.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 407 {
		t.Errorf("a stranger's call: %d", call.Status())
	}
}

func TestVouchByToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t)})
	url := w.url
	w.url = url + "?access_token=" + tokenFor(t, "alice@example.com", time.Minute)
	b := w.browser(wsstest.Options{})
	res, err := b.Register(w.ctx(), "alice", "")
	w.check(err)
	if header(res, "Expires") == "120" {
		t.Error("the registration outlives the token")
	}
	if _, err := b.Register(w.ctx(), "bob", ""); statusError(t, err) != 401 {
		t.Errorf("alice's token for bob: %v", err)
	}

	w.url = url
	bearer := w.browser(wsstest.Options{JWT: "Bearer " + tokenFor(t, "sip:bob@example.com", time.Hour)}) // RFC 8898
	_, err = bearer.Register(w.ctx(), "bob", "")
	w.check(err)
	call, err := bearer.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.check(w.expectRequest(sip.INVITE).Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))

	forged := w.browser(wsstest.Options{JWT: "Bearer " + tokenFor(t, "bob", -time.Minute)})
	res, err = forged.Register(w.ctx(), "bob", "")
	if statusError(t, err) != 401 || !strings.Contains(header(res, "WWW-Authenticate"), "invalid_token") {
		t.Errorf("an expired token: %v", err)
	}
	if _, err := wsstest.Dial(w.ctx(), w.url+"?access_token=rubbish", wsstest.Options{}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("rubbish at the upgrade: %v", err)
	}
}

// A token that ends takes its flow along.
func TestTokenEndsTheFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: newGate(t)})
	w.url += "?access_token=" + tokenFor(t, "alice", 8*time.Second)
	b := w.browser(wsstest.Options{})
	_, err := b.Register(w.ctx(), "alice", "")
	w.check(err)
	select {
	case <-b.Done():
	case <-w.ctx().Done():
		t.Fatal("the flow outlives its token")
	}
	w.until("the flow is forgotten", func() bool {
		w.bridge.subjects.mu.Lock()
		defer w.bridge.subjects.mu.Unlock()
		return len(w.bridge.subjects.byFlow) == 0
	})
}

// A backend that trusts nobody's word gets the gateway's own credentials, for REGISTER and INVITE.
func TestVouchWithOwnCredentials(t *testing.T) {
	t.Parallel()
	challenge := sip.NewHeader("WWW-Authenticate", `Digest realm="pbx", nonce="n1", algorithm=SHA-256, qop="auth"`)
	w := newWorld(t, conditions{
		routes: vouchRoutes(), gate: newGate(t),
		bridge: Config{Peerings: map[string]Peering{"pbx": {Username: "gateway", Password: "its own"}}},
		handler: func(int) func(*siptest.Incoming) bool {
			return func(in *siptest.Incoming) bool {
				if in.Request().Method != sip.REGISTER && in.Request().Method != sip.INVITE || in.Request().GetHeader("Authorization") != nil {
					return false
				}
				return in.Respond(siptest.Reply{Status: 401, Headers: []sip.Header{challenge}}) == nil
			}
		},
	})
	b := w.browser(wsstest.Options{})
	_, err := b.Register(w.ctx(), "alice", "secret")
	w.check(err)
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	auth := header(in.Request(), "Authorization")
	if !strings.Contains(auth, `username="gateway"`) || !strings.Contains(auth, "SHA-256") {
		t.Errorf("Authorization: %s", auth)
	}
	if seq := in.Request().CSeq().SeqNo; seq != 2 {
		t.Errorf("CSeq %d", seq)
	}
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	gone := make(chan error, 1)
	w.meanwhile(func() { gone <- call.Bye(w.ctx()) })
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.check(<-gone)
	if call.Status() == 401 {
		t.Error("the backend's challenge reached the browser")
	}
}

// While somebody far away judges the credentials nothing waits, and a CANCEL finds its INVITE.
func TestCancelWhileJudged(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	gate := identity.NewGate(identity.GateConfig{
		Secrets: passwords{known: map[string]string{"alice": "secret"}, hold: hold}, Waits: true,
	})
	w := newWorld(t, conditions{routes: vouchRoutes(), gate: gate})
	b := w.browser(wsstest.Options{})
	b.SetUser("alice", "secret")
	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	w.until("the credentials are judged", func() bool { return len(w.bridge.judging) == 1 })
	w.check(call.Cancel(w.ctx()))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
	if call.Status() != 487 {
		t.Errorf("cancelled: %d", call.Status())
	}
	close(hold)
	w.until("nobody is judged any more", func() bool { return len(w.bridge.judging) == 0 })
	if n := w.bridge.Stats().Calls; n != 0 {
		t.Errorf("%d calls", n)
	}
}
