package bridge

import (
	"regexp"
	"slices"
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

// headerLines are the names of a request's headers that begin with X-, and the values of all of one name.
func headerLines(req *sip.Request, name string) (names, values []string) {
	for _, h := range req.Headers() {
		if strings.HasPrefix(strings.ToLower(h.Name()), "x-") {
			names = append(names, h.Name())
		}
		if strings.EqualFold(h.Name(), name) {
			values = append(values, h.Value())
		}
	}
	return names, values
}

// An INVITE goes on with the users, domains and headers that its route says, and the dialog keeps to them.
func TestRouteRewrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, routes: []route.Rule{{
		From: "browsers", User: regexp.MustCompile(`^0(\d+)$`), FromUser: regexp.MustCompile(`^(.)`), To: "other",
		Rewrite: route.Rewrite{
			User: "+49$1", Domain: "sbc.example", FromUser: "+4930$1", FromDomain: "own.example",
			Set: []route.Header{{Name: "X-Team", Value: "blue"}, {Name: "X-Dialled", Value: "$0"}}, Add: []route.Header{{Name: "X-More", Value: "2"}},
			Remove: []string{"x-secret", "Via", "Contact"},
		},
	}, {From: "browsers", To: "pbx"}}})
	b := w.registered("alice", wsstest.Options{})
	call, err := b.Invite(w.ctx(), "sip:0-30%31@example.com;transport=ws", wsstest.InviteOptions{Headers: []sip.Header{
		sip.NewHeader("X-Team", "red"), sip.NewHeader("X-More", "1"), sip.NewHeader("X-Secret", "a"), sip.NewHeader("X-SECRET", "b"), sip.NewHeader("Subject", "stays"),
	}})
	w.check(err)
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	req := in.Request()
	if got := req.Recipient.String(); got != "sip:+49301@sbc.example" {
		t.Errorf("Request-URI %s", got)
	}
	if from, to := req.From().Address, req.To().Address; from.String() != "sip:+4930a@own.example" || to.String() != "sip:+49301@sbc.example" {
		t.Errorf("From %s, To %s", from.String(), to.String())
	}
	names, more := headerLines(req, "X-More")
	_, team := headerLines(req, "X-Team")
	_, dialled := headerLines(req, "X-Dialled")
	if len(names) != 4 || !slices.Equal(more, []string{"1", "2"}) || !slices.Equal(team, []string{"blue"}) || !slices.Equal(dialled, []string{"0301"}) {
		t.Errorf("headers %v: X-More %v, X-Team %v, X-Dialled %v", names, more, team, dialled)
	}
	if req.Via() == nil || req.Contact() == nil || headerValue(req, "Subject") != "stays" {
		t.Errorf("a route took what is not its own:\n%s", req)
	}
	answer, err := w.rtp().Answer(in.SDP())
	w.check(err)
	d, err := in.Accept(w.ctx(), siptest.Reply{SDP: answer})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	gone := make(chan error, 1)
	w.meanwhile(func() { gone <- call.Bye(w.ctx()) })
	bye, err := d.Expect(w.ctx(), sip.BYE)
	w.check(err)
	if from := bye.Request().From().Address; from.String() != "sip:+4930a@own.example" {
		t.Errorf("the BYE is from %s", from.String())
	}
	w.check(bye.Respond(siptest.Reply{Status: 200}))
	w.check(<-gone)
}

// What a user's name takes into a header or a URI stays there.
func TestRouteInjectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: []route.Rule{{
		From: "browsers", User: regexp.MustCompile(`(?s)^(.*)$`), FromUser: regexp.MustCompile(`(?s)^(.*)$`), To: "pbx",
		Rewrite: route.Rewrite{User: "a$1", FromUser: "b$1", Set: []route.Header{{Name: "X-User", Value: "c $1"}, {Name: "X-Bad\r\nX-Evil", Value: "1"}, {Name: "X-Line", Value: "d\r\nX-Evil: 1"}}},
	}}})
	b := w.browser(wsstest.Options{})
	for _, user := range []string{"x%0d%0aX-Evil%3a%201", "x%00", "x%40evil.example%3e", "x%3Csip%3aevil%3E", "x;y=z%0a", "%25%30%64%25%30%61"} {
		b.SetUser(user, "")
		answer := w.sends(b, text(b.NewRequest(sip.MESSAGE, "sip:"+user+"@example.com"), "text/plain", "hello"))
		in := w.replies(w.agents[0], sip.MESSAGE, 200)
		if res := <-answer; res.StatusCode != 200 {
			t.Errorf("%s: answered %d", user, res.StatusCode)
		}
		req := in.Request()
		names, _ := headerLines(req, "")
		if !slices.Equal(names, []string{"X-Line", "X-User"}) && !slices.Equal(names, []string{"X-User", "X-Line"}) {
			t.Errorf("%s: headers %v", user, names)
		}
		if req.Recipient.Host != "example.com" || req.From().Address.Host != "example.com" || !strings.HasPrefix(req.Recipient.User, "a") {
			t.Errorf("%s: %s from %s", user, req.Recipient.String(), req.From().Address.String())
		}
		if got := headerValue(req, "X-Line"); got != "dX-Evil: 1" {
			t.Errorf("%s: X-Line is %q", user, got)
		}
	}
}

// lists are routes to the pool, then to the trunk beside it.
func listRoutes() []route.Rule {
	return []route.Rule{{From: "browsers", Targets: []route.Target{{Name: "pbx", Priority: 1}, {Name: "other", Priority: 2}}}}
}

// The next target of a list is tried where the first cannot: on 5xx without asking the rest of its members, and on what leads to
// the next member, too.
func TestRouteGoesToTheNextTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		bad   func(*siptest.Incoming)
		tried int
		after time.Duration
	}{
		{"500", replies(500), 2, 0},
		{"503", replies(503), 3, 0},
		{"100 and then 502", replies(100, 502), 2, 0},
		{"silence", replies(), 3, silentFor},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{members: 2, other: true, routes: listRoutes(), bridge: Config{TryTimeout: test.after},
				handler: behave(test.bad, test.bad)})
			call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
			w.check(err)
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 486}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if r := w.record(); call.Status() != 486 || len(r.Tried) != test.tried || poolOf(r.Tried[test.tried-1]) != "other" {
				t.Errorf("the browser heard %d; tried %v", call.Status(), r.Tried)
			}
		})
	}
}

// A MESSAGE goes the same way; of the same pool by another rule, too, with what that one rewrites.
func TestRouteOfMessageGoesToTheNextTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, routes: []route.Rule{
		{From: "browsers", Targets: []route.Target{{Name: "other", Priority: 1}, {Name: "pbx", Priority: 2}}, Fallback: true},
		{From: "browsers", To: "pbx", Rewrite: route.Rewrite{User: "mailbox"}},
	}})
	b := w.browser(wsstest.Options{})
	answer := w.sends(b, text(b.NewRequest(sip.MESSAGE, "600"), "text/plain", "hello"))
	w.replies(w.other, sip.MESSAGE, 500)
	w.replies(w.agents[0], sip.MESSAGE, 504)
	if in := w.replies(w.agents[0], sip.MESSAGE, 200); in.Request().Recipient.User != "mailbox" {
		t.Errorf("went to %s", in.Request().Recipient.String())
	}
	if res := <-answer; res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
}

// What the callee says is final: neither the next target nor the next rule is tried.
func TestRouteStaysWithARefusal(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 480, 486, 603} {
		w := newWorld(t, conditions{other: true, routes: listRoutes(), handler: behave(replies(180, status))})
		call, err := w.browser(wsstest.Options{}).Invite(w.ctx(), "600", wsstest.InviteOptions{Session: wsstest.FixedAudio()})
		w.check(err)
		w.check(call.Wait(w.ctx(), wsstest.Ended))
		if r := w.record(); call.Status() != status || len(r.Tried) != 1 {
			t.Errorf("the browser heard %d of %d; tried %v", call.Status(), status, r.Tried)
		}
	}
}

// Who is not registered here, or cannot be reached, is looked for by the next rule, with what that one rewrites; a rule that asks for
// a proof is no way around it.
func TestRouteFallsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{gate: newGate(t), routes: []route.Rule{
		{From: "browsers", Prefix: []string{"nobody"}, To: "browsers", Fallback: true},
		{From: "browsers", Prefix: []string{"nobody7"}, To: "pbx", Register: route.Vouch},
		{From: "browsers", To: "pbx", Rewrite: route.Rewrite{Prepend: "mailbox-"}},
	}})
	b := w.browser(wsstest.Options{})
	answer := w.sends(b, text(b.NewRequest(sip.MESSAGE, "nobody1"), "text/plain", "hello"))
	if in := w.replies(w.agents[0], sip.MESSAGE, 200); in.Request().Recipient.User != "mailbox-nobody1" {
		t.Errorf("went to %s", in.Request().Recipient.String())
	}
	if res := <-answer; res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	if res := <-w.sends(b, text(b.NewRequest(sip.MESSAGE, "nobody7"), "text/plain", "hello")); res.StatusCode != 404 {
		t.Errorf("without a proof: %d", res.StatusCode)
	}
}

// A number of the trunk's is a user registered here.
func TestRouteToAUserByNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: []route.Rule{
		{From: "browsers", To: "pbx"},
		{From: "pbx", Prefix: []string{"+4930123"}, To: "browsers", Rewrite: route.Rewrite{User: "alice", Domain: "example.com", Set: []route.Header{{Name: "X-Line", Value: "$0"}}}},
	}})
	b := w.registered("alice", wsstest.Options{})
	at := w.sip.Addrs()[0]
	out, err := w.agents[0].Invite(siptest.Call{To: sip.Uri{Scheme: "sip", User: "+49-30-123", Host: at.Addr().String(), Port: int(at.Port())}, SDP: w.rtp().Offer("sendrecv")})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	if got := headerValue(call.Invitation(), "X-Line"); got != "+4930123" {
		t.Errorf("X-Line is %q", got)
	}
	w.check(call.Reject(486, "Busy Here"))
	_, err = out.Await(w.ctx(), 486)
	w.check(err)
}

// Claims of the sender's token and headers choose the rule; without a proof of the sender there are no claims.
func TestRouteByClaimAndHeader(t *testing.T) {
	t.Parallel()
	tokens, err := identity.NewTokens(identity.TokenConfig{Secret: []byte(tokenSecret), Claims: []string{"realm.roles", "level"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	w := newWorld(t, conditions{gate: identity.NewGate(identity.GateConfig{Tokens: tokens}), routes: []route.Rule{
		{From: "browsers", Headers: []route.Pattern{{Name: "x-team", Value: regexp.MustCompile("^blue$")}}, Reject: 488},
		{From: "browsers", Claims: []route.Pattern{{Name: "realm.roles", Value: regexp.MustCompile("^agent$")}, {Name: "level", Value: regexp.MustCompile("^3$")}}, To: "pbx"},
		{From: "browsers", Reject: 403},
	}})
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "level": 3, "realm": map[string]any{"roles": []string{"guest", "agent"}},
	}).SignedString([]byte(tokenSecret))
	w.check(err)
	without := w.browser(wsstest.Options{})
	w.url += "?access_token=" + token
	with := w.browser(wsstest.Options{})
	message := func(b *wsstest.Browser, from string, headers ...sip.Header) <-chan *sip.Response {
		b.SetUser(from, "")
		req := text(b.NewRequest(sip.MESSAGE, "600"), "text/plain", "hello")
		for _, h := range headers {
			req.AppendHeader(h)
		}
		return w.sends(b, req)
	}
	answer := message(with, "alice")
	w.replies(w.agents[0], sip.MESSAGE, 202)
	if res := <-answer; res.StatusCode != 202 {
		t.Errorf("with the claims: %d", res.StatusCode)
	}
	if res := <-message(with, "bob"); res.StatusCode != 403 {
		t.Errorf("in another's name: %d", res.StatusCode)
	}
	if res := <-message(without, "alice"); res.StatusCode != 403 {
		t.Errorf("without a token: %d", res.StatusCode)
	}
	if res := <-message(with, "alice", sip.NewHeader("X-Team", "blue")); res.StatusCode != 488 {
		t.Errorf("with the header: %d", res.StatusCode)
	}
}

// A tel URI is its number, and becomes a SIP URI where the route knows where to.
func TestRouteOfTelURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{routes: []route.Rule{
		{From: "browsers", Prefix: []string{"+4930"}, To: "pbx", Rewrite: route.Rewrite{Domain: "sbc.example"}}, {From: "browsers", Reject: 403},
	}})
	b := w.browser(wsstest.Options{})
	answer := w.sends(b, text(b.NewRequest(sip.MESSAGE, "tel:+49-30-1"), "text/plain", "hello"))
	if in := w.replies(w.agents[0], sip.MESSAGE, 200); in.Request().Recipient.String() != "sip:+49301@sbc.example" {
		t.Errorf("went to %s", in.Request().Recipient.String())
	}
	if res := <-answer; res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
}

// A registration is rewritten as calls are: its address of record is who calls.
func TestRouteRewritesRegistrations(t *testing.T) {
	t.Parallel()
	registers := make(chan *sip.Request, 8)
	w := newWorld(t, conditions{gate: newGate(t), routes: []route.Rule{{
		From: "browsers", To: "pbx", Register: route.Vouch,
		Rewrite: route.Rewrite{Domain: "pbx.example", FromUser: "acme-$0", FromDomain: "pbx.example", Set: []route.Header{{Name: "X-Tenant", Value: "acme"}}},
	}}, handler: func(int) func(*siptest.Incoming) bool {
		return func(in *siptest.Incoming) bool {
			if in.Request().Method == sip.REGISTER {
				registers <- in.Request()
			}
			return false
		}
	}})
	_, err := w.browser(wsstest.Options{}).Register(w.ctx(), "alice", "secret")
	w.check(err)
	req := <-registers
	from, to := req.From().Address, req.To().Address
	if req.Recipient.String() != "sip:pbx.example" || from.String() != "sip:acme-alice@pbx.example" || to.String() != from.String() || headerValue(req, "X-Tenant") != "acme" {
		t.Errorf("arrived:\n%s", req)
	}
}
