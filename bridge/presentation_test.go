package bridge

import (
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/numbers"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// german is a trunk that writes numbers as people there dial them.
func german(c numbers.Caller) map[string]Peering {
	return map[string]Peering{"other": {Untrusted: true, Username: "t7", Presentation: &Presentation{
		Domain:  "trunk.example",
		Numbers: numbers.Plan{Format: numbers.National, Country: "49", National: "0", International: "00"},
		Caller:  c,
	}}}
}

// trunkRoutes send numbers to the trunk and its calls to the pool.
func trunkRoutes() []route.Rule {
	return []route.Rule{
		{From: "browsers", User: regexp.MustCompile(`^\+|^112$`), To: "other"},
		{From: "pbx", User: regexp.MustCompile(`^\+|^112$`), To: "other"},
		{From: "browsers", To: "pbx"},
	}
}

// A trunk gets numbers and callers as it wants them, whoever calls.
func TestPresentedToATrunk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule                 numbers.Caller
		headers              []sip.Header
		from, identity, more string
	}{
		"numbers only": {numbers.Caller{}, nil, "sip:alice@example.com", "P-Asserted-Identity: <sip:alice@example.com>", ""},
		"screened": {numbers.Caller{Identity: numbers.TheCaller, Instead: "+4930123", Domain: "trunk.example"}, nil,
			"sip:030123@trunk.example", "P-Asserted-Identity: <sip:030123@trunk.example>", ""},
		"account and number": {numbers.Caller{From: numbers.TheAccount, Identity: "+4930124", Header: "P-Preferred-Identity", Domain: "trunk.example"}, nil,
			"sip:t7@trunk.example", "P-Preferred-Identity: <sip:030124@trunk.example>", ""},
		"private": {numbers.Caller{Identity: numbers.TheCaller, Instead: "+4930123", Domain: "trunk.example"},
			[]sip.Header{sip.NewHeader("Privacy", "id")},
			"sip:anonymous@anonymous.invalid", "P-Asserted-Identity: <sip:030123@trunk.example>", "Privacy: id"},
		"Remote-Party-ID": {numbers.Caller{Identity: numbers.TheCaller, Instead: "+4930123", Header: "Remote-Party-ID", Domain: "trunk.example"}, nil,
			"sip:030123@trunk.example", "Remote-Party-ID: <sip:030123@trunk.example>;party=calling;screen=yes;privacy=off", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, conditions{other: true, routes: trunkRoutes(), bridge: Config{Peerings: german(c.rule)}})
			b := w.registered("alice", wsstest.Options{})
			call, err := b.Invite(w.ctx(), "+4940987654", wsstest.InviteOptions{Headers: c.headers})
			w.check(err)
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			req := in.Request()
			if req.Recipient.String() != "sip:040987654@trunk.example" || req.To().Address.String() != "sip:040987654@trunk.example" {
				t.Errorf("Request-URI %s, To %s", req.Recipient.String(), req.To().Address.String())
			}
			if got := req.From().Address.String(); got != c.from {
				t.Errorf("From %s, not %s", got, c.from)
			}
			if !strings.Contains(req.String(), c.identity+"\r\n") || c.more != "" && !strings.Contains(req.String(), c.more+"\r\n") {
				t.Errorf("no %s, %s in\n%s", c.identity, c.more, req.String())
			}
			if n := len(req.GetHeaders("P-Asserted-Identity")) + len(req.GetHeaders("P-Preferred-Identity")) + len(req.GetHeaders("Remote-Party-ID")); n != 1 {
				t.Errorf("%d identities", n)
			}
			w.check(in.Respond(siptest.Reply{Status: 486}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		})
	}
}

// What the route makes of the caller is whom the trunk is told, in both headers; but not of a name that nobody vouches for.
func TestRewrittenCallerIsPresented(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ from, identity string }{{"alice", "030777"}, {"mallory", "alice"}} {
		t.Run(row.from, func(t *testing.T) {
			t.Parallel()
			rule := numbers.Caller{Identity: numbers.TheCaller, Domain: "trunk.example"}
			routes := []route.Rule{{From: "browsers", User: regexp.MustCompile(`^\+`), To: "other", Rewrite: route.Rewrite{FromUser: "+4930777"}}, {To: "pbx"}}
			w := newWorld(t, conditions{other: true, routes: routes, bridge: Config{Peerings: german(rule)}})
			b := w.registered("alice", wsstest.Options{})
			b.SetUser(row.from, "")
			call, err := b.Invite(w.ctx(), "+4940987654", wsstest.InviteOptions{})
			w.check(err)
			req := w.replies(w.other, sip.INVITE, 486).Request()
			if from := req.From().Address.String(); from != "sip:030777@trunk.example" {
				t.Errorf("From %s", from)
			}
			if got := header(req, "P-Asserted-Identity"); got != "<sip:"+row.identity+"@trunk.example>" {
				t.Errorf("P-Asserted-Identity %s", got)
			}
			w.check(call.Wait(w.ctx(), wsstest.Ended))
		})
	}
}

// A trusted PBX's own assertion is the caller; a MESSAGE is written as an INVITE is.
func TestPresentedFromAPBX(t *testing.T) {
	t.Parallel()
	rule := numbers.Caller{Identity: numbers.TheCaller, Allowed: []*regexp.Regexp{regexp.MustCompile(`^\+4930123`)}, Instead: "+49301230", Domain: "trunk.example"}
	w := newWorld(t, conditions{other: true, routes: trunkRoutes(), bridge: Config{Peerings: german(rule)}})
	at := w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: "+49(40)98-7654", Host: at.Addr().String(), Port: int(at.Port())}
	asserts := []sip.Header{sip.NewHeader("P-Asserted-Identity", `"Bob" <sip:+4930123456@pbx.example>`)}
	_, err := w.agents[0].Invite(siptest.Call{To: to, SDP: w.rtp().Offer("sendrecv"), Headers: asserts})
	w.check(err)
	invite, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	_, err = w.agents[0].Start(sip.MESSAGE, siptest.Call{To: to, Headers: asserts})
	w.check(err)
	message, err := w.other.Expect(w.ctx(), sip.MESSAGE)
	w.check(err)
	for _, req := range []*sip.Request{invite.Request(), message.Request()} {
		if req.Recipient.User != "040987654" || req.From().Address.User != "030123456" ||
			header(req, "P-Asserted-Identity") != "<sip:030123456@trunk.example>" {
			t.Errorf("the trunk got\n%s", req.String())
		}
	}
	w.check(invite.Respond(siptest.Reply{Status: 486}))
	w.check(message.Respond(siptest.Reply{Status: 200}))
}

// Who diverted a call is written as a trunk wants it, and read from it.
func TestNumbersOfOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ trunk, dialled, by, want string }{
		"to a trunk":   {"other", "+4940987654", "<sip:+4930600600@pbx.example>;reason=busy", "<sip:030600600@pbx.example>;reason=busy"},
		"from a trunk": {"pbx", "040987654", "<sip:030600600@trunk.example>;reason=busy", "<sip:+4930600600@trunk.example>;reason=busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peerings := map[string]Peering{c.trunk: german(numbers.Caller{})["other"]}
			w := newWorld(t, conditions{other: true, routes: trunkRoutes(), bridge: Config{Peerings: peerings}})
			at := w.sip.Addrs()[0]
			to := sip.Uri{Scheme: "sip", User: c.dialled, Host: at.Addr().String(), Port: int(at.Port())}
			_, err := w.agents[0].Start(sip.MESSAGE, siptest.Call{To: to, Headers: []sip.Header{sip.NewHeader("Diversion", c.by), sip.NewHeader("Diversion", "<sip:a@b.example>")}})
			w.check(err)
			req := w.replies(w.other, sip.MESSAGE, 200).Request()
			if all := req.GetHeaders("Diversion"); len(all) != 2 || all[0].Value() != c.want {
				t.Errorf("Diversion %v, want %s", all, c.want)
			}
		})
	}
}

// A trunk's numbers are heard before the routes are asked; its dialog keeps them as it wrote them.
func TestHeardFromATrunk(t *testing.T) {
	t.Parallel()
	routes := []route.Rule{{From: "pbx", User: regexp.MustCompile(`^\+49306001$`), To: "other"}}
	trunk := german(numbers.Caller{Asserted: true})["other"]
	w := newWorld(t, conditions{routes: routes, bridge: Config{Peerings: map[string]Peering{"pbx": trunk}}, other: true})
	at := w.sip.Addrs()[0]
	to := sip.Uri{Scheme: "sip", User: "0306001", Host: at.Addr().String(), Port: int(at.Port())}
	_, err := w.agents[0].Invite(siptest.Call{To: to, SDP: w.rtp().Offer("sendrecv"), Headers: []sip.Header{
		sip.NewHeader("P-Asserted-Identity", `"Bob" <tel:0040 98-7654>, <sip:0040987654@trunk.example>`),
	}})
	w.check(err)
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if req := in.Request(); req.Recipient.User != "+49306001" || req.To().Address.User != "+49306001" || req.From().Address.User != "+40987654" {
		t.Errorf("the other side got\n%s", req.String())
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
}
