package bridge

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity/stir"
	"tandem/bridge/numbers"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// signing is a trunk "other" to which calls are signed.
func (a *authority) signing(s Signing, more ...func(*Peering)) map[string]Peering {
	s.Signer = a.signer()
	p := Peering{Untrusted: true, STIR: STIR{Sign: &s}, Presentation: &Presentation{
		Numbers: numbers.Plan{Format: numbers.National, Country: "1", National: "1", International: "011"},
		Caller:  numbers.Caller{Instead: stirCaller},
	}}
	for _, m := range more {
		m(&p)
	}
	return map[string]Peering{"other": p}
}

// A call to a trunk is signed for the numbers that it shows, at the level that the rules say.
func TestSignedForATrunk(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	re := regexp.MustCompile
	for name, c := range map[string]struct {
		sign         Signing
		more         func(*Peering)
		unregistered bool
		level        string // "": not signed
		orig         string
	}{
		"the default":     {sign: Signing{Attest: "B", OrigID: stirOrigin}, level: "B"},
		"by caller":       {sign: Signing{Attest: "C", Rules: []AttestRule{{Caller: re(`^\+1900`), Attest: "B"}, {From: "browsers", Caller: re(`^\+1215`), Attest: "A"}}}, level: "A"},
		"by callee":       {sign: Signing{Attest: "C", Rules: []AttestRule{{Callee: re(`^\+1235`), Attest: "B"}}}, level: "B"},
		"of another":      {sign: Signing{Attest: "C", Rules: []AttestRule{{From: "pbx", Attest: "A"}}}, level: "C"},
		"by claim":        {sign: Signing{Attest: "C", Rules: []AttestRule{{Claim: map[string]*regexp.Regexp{"role": re("x")}, Attest: "A"}}}, level: "C"},
		"not this one":    {sign: Signing{Attest: "A", Rules: []AttestRule{{From: "browsers"}}}},
		"of nobody known": {sign: Signing{Attest: "A"}, unregistered: true, level: "C"},
		"without number":  {sign: Signing{Attest: "A"}, more: func(p *Peering) { p.Presentation = nil }},
		"asserted": {sign: Signing{Attest: "A"}, more: func(p *Peering) {
			p.Presentation.Caller = numbers.Caller{From: numbers.TheAccount, Identity: "+12155550000"}
			p.Username = "t7"
		}, level: "A", orig: "12155550000"},
		"no key": {sign: Signing{Attest: "A"}, more: func(p *Peering) { p.STIR.Sign.Signer = stir.NewSigner("https://x.example/", "none", nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var more []func(*Peering)
			if c.more != nil {
				more = append(more, c.more)
			}
			routes := []route.Rule{{From: "browsers", User: regexp.MustCompile(`^\+`), To: "other"}, {From: "browsers", To: "pbx"}}
			w := newWorld(t, conditions{other: true, routes: routes, bridge: Config{Peerings: a.signing(c.sign, more...)}})
			b := w.browser(wsstest.Options{})
			b.SetUser("alice", "")
			if !c.unregistered {
				_, err := b.Register(w.ctx(), "alice", "")
				w.check(err)
			}
			call, err := b.Invite(w.ctx(), stirCallee, wsstest.InviteOptions{Headers: []sip.Header{
				sip.NewHeader("Date", "Sat, 21 Nov 2020 10:00:00 GMT"), sip.NewHeader("Identity", "a.b.c;info=<https://x.example>"),
			}})
			w.check(err)
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 486}))
			w.check(call.Wait(w.ctx(), wsstest.Ended))
			if c.orig == "" {
				c.orig = stirCaller[1:]
			}
			a.judge(w, in.Request(), c.level, c.orig, c.sign.OrigID)
		})
	}
}

// judge verifies what a trunk got; "" is the level of what is not signed.
func (a *authority) judge(w *world, req *sip.Request, level, orig, originID string) {
	w.t.Helper()
	if level == "" {
		if req.GetHeader("Identity") != nil || w.record().STIR != nil {
			w.t.Errorf("it is signed:\n%s", req.String())
		}
		return
	}
	ids, dates := req.GetHeaders("Identity"), req.GetHeaders("Date")
	if len(ids) != 1 || len(dates) != 1 {
		w.t.Fatalf("%d Identity headers, %d of Date:\n%s", len(ids), len(dates), req.String())
	}
	got, fault := a.verifier().Verify(w.ctx(), stir.Request{
		Identities: []string{ids[0].Value()}, Date: dates[0].Value(), Callers: []string{orig}, Callee: stirCallee[1:],
	})
	if fault != nil || got.Attest != level || originID != "" && got.OrigID != originID {
		w.t.Errorf("%+v, %v", got, fault)
	}
	date, err := http.ParseTime(dates[0].Value())
	if _, p, ok := stir.Claims(ids[0].Value()); err != nil || !ok || !p.IssuedAt.Equal(date) {
		w.t.Errorf("iat %v, Date %v", p.IssuedAt, dates[0].Value())
	}
	if w.record().STIR.Signed != level || w.bridge.Stats().Signed[level] != 1 {
		w.t.Errorf("record %v, counted %v", w.record().STIR, w.bridge.Stats().Signed)
	}
}

// The Identity headers of a call from one trunk to another go on untouched as long as they hold; else the call is signed anew.
func TestIdentityPasses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	date := func() sip.Header { return sip.NewHeader("Date", time.Now().UTC().Format(http.TimeFormat)) }
	for name, c := range map[string]struct {
		headers func() []sip.Header // made with the call, for they hold for a minute; nil: none
		rewrite route.Rewrite
		passes  bool
		level   string // of ours
	}{
		"as it is": {headers: func() []sip.Header {
			div := strings.Replace(a.identity(func(p *stir.Passport) { p.Dest = []string{"12355550000"} }).Value(), `"shaken"`, `"div"`, 1)
			return []sip.Header{sip.NewHeader("Identity", div), a.identity(), date()}
		}, passes: true},
		"none":     {level: "B"},
		"diverted": {headers: func() []sip.Header { return []sip.Header{a.identity(), date()} }, rewrite: route.Rewrite{User: "+12355559999"}, level: "B"},
		"unreadable": {headers: func() []sip.Header {
			return []sip.Header{sip.NewHeader("Identity", "..abc;info=<https://x.example/>"), date()}
		}, level: "B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routes := []route.Rule{{From: "pbx", To: "other", Rewrite: c.rewrite}}
			w := newWorld(t, conditions{other: true, routes: routes, bridge: Config{Peerings: a.signing(Signing{Attest: "B"}, func(p *Peering) { p.Presentation = nil })}})
			at := w.sip.Addrs()[0]
			uri := sip.Uri{Scheme: "sip", User: stirCallee, Host: at.Addr().String(), Port: int(at.Port())}
			var headers []sip.Header
			if c.headers != nil {
				headers = c.headers()
			}
			_, err := w.agents[0].Invite(siptest.Call{
				To: uri, From: &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: stirCaller, Host: "carrier.example"}},
				SDP: w.rtp().Offer("sendrecv"), Headers: headers,
			})
			w.check(err)
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 486}))
			got := in.Request().GetHeaders("Identity")
			if !c.passes {
				if len(got) != 1 || w.record().STIR.Signed != c.level {
					t.Errorf("%d Identity headers, %v", len(got), w.record().STIR)
				}
				return
			}
			if len(got) != 2 || got[0].Value() != headers[0].Value() || got[1].Value() != headers[1].Value() ||
				header(in.Request(), "Date") != headers[2].Value() || w.record().STIR != nil {
				t.Errorf("the trunk got\n%s", in.Request().String())
			}
		})
	}
}

// Who shows no identity to a trunk does not show it by a passed PASSporT either, nor does what failed here go on.
func TestIdentityDoesNotPass(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, more := range map[string]sip.Header{
		"private": sip.NewHeader("Privacy", "id"),
		"failed":  sip.NewHeader("Date", "Sat, 21 Nov 2020 10:00:00 GMT"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peerings := map[string]Peering{
				"other": {Untrusted: true}, "pbx": {Untrusted: true, STIR: STIR{Verify: &Verifying{Verifier: a.verifier()}}},
			}
			w := newWorld(t, conditions{other: true, routes: []route.Rule{{From: "pbx", To: "other"}}, bridge: Config{Peerings: peerings}})
			at := w.sip.Addrs()[0]
			_, err := w.agents[0].Invite(siptest.Call{
				To:   sip.Uri{Scheme: "sip", User: stirCallee, Host: at.Addr().String(), Port: int(at.Port())},
				From: &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: stirCaller, Host: "carrier.example"}},
				SDP:  w.rtp().Offer("sendrecv"), Headers: []sip.Header{a.identity(), more},
			})
			w.check(err)
			in, err := w.other.Expect(w.ctx(), sip.INVITE)
			w.check(err)
			w.check(in.Respond(siptest.Reply{Status: 486}))
			if got := in.Request(); got.GetHeader("Identity") != nil || got.GetHeader("X-Verstat") != nil {
				t.Errorf("the trunk got\n%s", got.String())
			}
		})
	}
}
