package siptest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestRegistrar(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{Users: map[string]string{"alice": "secret", "bob": "other"}, Realm: "r"})
	alice := agent(t, AgentConfig{User: "alice"})
	to := Call{To: number(p, "")}

	res := got[*sip.Response](t)(alice.Register(ctx, to, time.Hour))
	challenge := res.GetHeader("WWW-Authenticate")
	if res.StatusCode != 401 || challenge == nil || strings.Contains(challenge.Value(), "stale") ||
		!strings.Contains(challenge.Value(), `realm="r"`) || !strings.Contains(challenge.Value(), `qop="auth"`) {
		t.Fatalf("answered %s", res)
	}
	for _, wrong := range [][2]string{{"alice", "wrong"}, {"bob", "other"}, {"carol", "secret"}} {
		c := to
		c.User, c.Password = wrong[0], wrong[1]
		if res := got[*sip.Response](t)(alice.Register(ctx, c, time.Hour)); res.StatusCode != 403 {
			t.Errorf("%v answered %d", wrong, res.StatusCode)
		}
	}
	to.User, to.Password = "alice", "secret"
	res = got[*sip.Response](t)(alice.Register(ctx, to, time.Hour))
	if c := res.Contact(); res.StatusCode != 200 || c == nil || c.Params.GetOr("expires", "") != "3600" || c.Address.Port != int(alice.Addr().Port()) {
		t.Fatalf("answered %s", res)
	}
	if list := p.Contacts("alice"); len(list) != 1 {
		t.Errorf("contacts %v", list)
	}
	res = got[*sip.Response](t)(alice.Register(ctx, to, 0))
	if res.StatusCode != 200 || res.Contact() != nil || len(p.Contacts("alice")) != 0 || p.Stats().Bindings != 0 {
		t.Errorf("un-registered: %s\n%v", res, p.Contacts("alice"))
	}
}

// A replayed Authorization is answered with stale=true: the password was right.
func TestReplayIsStale(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{Users: map[string]string{"alice": "secret"}})
	alice := agent(t, AgentConfig{User: "alice"})
	o := got[*Outgoing](t)(alice.Start(sip.REGISTER, Call{
		To: number(p, ""), User: "alice", Password: "secret",
		From: &sip.FromHeader{Address: number(p, "alice")}, ToHeader: &sip.ToHeader{Address: number(p, "alice")},
	}))
	if res := got[*sip.Response](t)(o.Final(ctx)); res.StatusCode != 200 {
		t.Fatalf("answered %d", res.StatusCode)
	}
	replay := o.request().GetHeader("Authorization")
	res := got[*sip.Response](t)(alice.Do(ctx, sip.REGISTER, Call{
		To: number(p, ""), Headers: []sip.Header{replay},
		From: &sip.FromHeader{Address: number(p, "alice")}, ToHeader: &sip.ToHeader{Address: number(p, "alice")},
	}))
	if res.StatusCode != 401 || !strings.Contains(res.GetHeader("WWW-Authenticate").Value(), "stale=true") {
		t.Errorf("answered %s", res)
	}
}

func TestBindings(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	alice := agent(t, AgentConfig{User: "alice"})
	contact := func(text string) Call {
		return Call{To: number(p, ""), Headers: []sip.Header{sip.NewHeader("Contact", text)}}
	}
	for _, tt := range []struct {
		contact string
		expires time.Duration
		status  int
		left    string
	}{
		{`<sip:a@127.0.0.1:1>`, time.Minute, 200, "1"},
		{`<sip:a@127.0.0.1:2>`, time.Minute, 200, "1 2"},
		{`<sip:a@127.0.0.1:1>;expires=0`, time.Minute, 200, "2"},
		{`<sip:a@127.0.0.1:3>;+sip.instance="<urn:uuid:x>";reg-id=1`, time.Minute, 200, "2 3"},
		{`<sip:a@127.0.0.1:4>;reg-id=1;+sip.instance="<urn:uuid:x>"`, time.Minute, 200, "2 4"},
		{`<sip:a@127.0.0.1:5>;expires=x`, time.Minute, 400, "2 4"},
		{`*`, time.Minute, 400, "2 4"},
		{`*`, 0, 200, ""},
	} {
		res := got[*sip.Response](t)(alice.Register(ctx, contact(tt.contact), tt.expires))
		var left []string
		for _, uri := range p.Contacts("alice") {
			left = append(left, strings.TrimPrefix(hostPort(uri), "127.0.0.1:"))
		}
		if res.StatusCode != tt.status || strings.Join(left, " ") != tt.left {
			t.Errorf("%s: %d %v, want %d %s", tt.contact, res.StatusCode, left, tt.status, tt.left)
		}
	}
}

// registered are two users of a PBX.
func registeredAt(t *testing.T, ctx context.Context, p *PBX, user, transport string) *Agent {
	t.Helper()
	a := agent(t, AgentConfig{User: user})
	res := got[*sip.Response](t)(a.Register(ctx, Call{To: number(p, ""), Transport: transport}, time.Hour))
	if res.StatusCode != 200 {
		t.Fatalf("%s: REGISTER answered %d", user, res.StatusCode)
	}
	return a
}

// answering answers the next call of an agent.
func answering(t *testing.T, ctx context.Context, a *Agent, m *Media) <-chan *Dialog {
	made := make(chan *Dialog, 1)
	go func() {
		defer close(made)
		in, err := a.Expect(ctx, sip.INVITE)
		if err == nil {
			err = in.Respond(Reply{Status: 180})
		}
		var sdp string
		if err == nil {
			sdp, err = m.Answer(in.SDP())
		}
		if err == nil {
			var d *Dialog
			if d, err = in.Accept(ctx, Reply{SDP: sdp}); err == nil {
				made <- d
			}
		}
		if err != nil {
			t.Error(err)
		}
	}()
	return made
}

func TestUsersCallEachOther(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(map[bool]string{false: "relayed ", true: "direct "}[direct]+transport, func(t *testing.T) {
				ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true, Direct: direct})
				alice, bob := registeredAt(t, ctx, p, "alice", transport), registeredAt(t, ctx, p, "bob", transport)
				am, bm := media(t), media(t)
				made := answering(t, ctx, bob, bm)
				out := got[*Outgoing](t)(alice.Invite(Call{To: number(p, "bob"), Transport: transport, SDP: am.Offer("sendrecv")}))
				got[*sip.Response](t)(out.Await(ctx, 180))
				ad := got[*Dialog](t)(out.Answered(ctx, ""))
				must(t, am.Connect(ad.Remote))
				bd := <-made
				if bd == nil {
					t.Fatal("bob did not answer")
				}
				if ad.CallID() == bd.CallID() {
					t.Error("one Call-ID on both legs")
				}
				am.Tone(1200)
				bm.Tone(600)
				must(t, am.WaitTone(ctx, 600))
				must(t, bm.WaitTone(ctx, 1200))
				if own := am.Addr().String(); direct != strings.Contains(bd.Remote, "m=audio "+own[strings.LastIndex(own, ":")+1:]) {
					t.Errorf("direct %v, but bob got\n%s", direct, bd.Remote)
				}
				holdFrom(t, ctx, bd, ad, bm, am)
				info := make(chan error, 1)
				go func() {
					in, err := bd.Expect(ctx, sip.INFO)
					if err == nil && string(in.Request().Body()) != "Signal=5" {
						t.Errorf("INFO with %q", in.Request().Body())
					}
					if err == nil {
						err = in.Respond(Reply{Status: 200})
					}
					info <- err
				}()
				got[*sip.Response](t)(ad.Request(ctx, sip.INFO, "application/dtmf-relay", "Signal=5"))
				must(t, <-info)
				gone := make(chan error, 1)
				go func() { gone <- bd.Bye(ctx) }()
				bye := got[*Incoming](t)(ad.Expect(ctx, sip.BYE))
				must(t, bye.Respond(Reply{Status: 200}))
				must(t, <-gone)
				idle(t, ctx, p)
			})
		}
	}
}

// holdFrom puts a call on hold and takes it back, from the side of d.
func holdFrom(t *testing.T, ctx context.Context, d, other *Dialog, m, om *Media) {
	t.Helper()
	for _, direction := range []string{"inactive", "sendrecv"} {
		done := make(chan error, 1)
		go func() {
			in, err := other.Expect(ctx, sip.INVITE)
			if err == nil {
				var sdp string
				if sdp, err = om.Answer(in.SDP()); err == nil {
					_, err = in.Accept(ctx, Reply{SDP: sdp})
				}
			}
			done <- err
		}()
		res := got[*sip.Response](t)(d.Reinvite(ctx, m.Offer(direction)))
		must(t, <-done)
		if res.StatusCode != 200 || !strings.Contains(sdpOf(res), "a="+direction) {
			t.Fatalf("%s answered %d\n%s", direction, res.StatusCode, sdpOf(res))
		}
		must(t, m.Connect(sdpOf(res)))
		if direction == "inactive" {
			must(t, m.WaitQuiet(ctx, 100*time.Millisecond))
			must(t, om.WaitQuiet(ctx, 100*time.Millisecond))
		}
	}
	must(t, m.WaitTone(ctx, 1200))
	must(t, om.WaitTone(ctx, 600))
}

// All phones of a user ring, one answers, the others hear that they need not.
func TestAllPhonesRing(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	alice := registeredAt(t, ctx, p, "alice", "udp")
	desk, mobile := registeredAt(t, ctx, p, "bob", "udp"), registeredAt(t, ctx, p, "bob", "tcp")
	am, dm := media(t), media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: number(p, "bob"), SDP: am.Offer("sendrecv")}))
	ringing := got[*Incoming](t)(mobile.Expect(ctx, sip.INVITE))
	must(t, ringing.Respond(Reply{Status: 180}))
	made := answering(t, ctx, desk, dm)
	ad := got[*Dialog](t)(out.Answered(ctx, ""))
	cancel := got[*Incoming](t)(mobile.Expect(ctx, sip.CANCEL))
	if h := cancel.Request().GetHeader("Reason"); h == nil || !strings.Contains(h.Value(), "completed elsewhere") {
		t.Errorf("CANCEL with Reason %v", h)
	}
	must(t, cancel.Respond(Reply{Status: 200}))
	must(t, ringing.Respond(Reply{Status: 487}))
	bd := <-made
	gone := make(chan error, 1)
	go func() { gone <- ad.Bye(ctx) }()
	bye := got[*Incoming](t)(bd.Expect(ctx, sip.BYE))
	must(t, bye.Respond(Reply{Status: 200}))
	must(t, <-gone)
	idle(t, ctx, p)
}

func TestCallerGivesUp(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	alice, bob := registeredAt(t, ctx, p, "alice", "udp"), registeredAt(t, ctx, p, "bob", "udp")
	am := media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: number(p, "bob"), SDP: am.Offer("sendrecv")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	must(t, in.Respond(Reply{Status: 180}))
	got[*sip.Response](t)(out.Await(ctx, 180))
	must(t, out.Cancel())
	cancel := got[*Incoming](t)(bob.Expect(ctx, sip.CANCEL))
	must(t, cancel.Respond(Reply{Status: 200}))
	must(t, in.Respond(Reply{Status: 487}))
	got[*sip.Response](t)(out.Await(ctx, 487))
	idle(t, ctx, p)
}

func TestCalleeRefuses(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{AnyUser: true})
	alice, bob := registeredAt(t, ctx, p, "alice", "udp"), registeredAt(t, ctx, p, "bob", "udp")
	am := media(t)
	out := got[*Outgoing](t)(alice.Invite(Call{To: number(p, "bob"), SDP: am.Offer("sendrecv")}))
	in := got[*Incoming](t)(bob.Expect(ctx, sip.INVITE))
	must(t, in.Respond(Reply{Status: 603}))
	got[*sip.Response](t)(out.Await(ctx, 603))
	idle(t, ctx, p)
}

func TestCallWithPassword(t *testing.T) {
	ctx, p := within(t), pbx(t, PBXConfig{Users: map[string]string{"alice": "secret", "bob": "x"}})
	alice, am := agent(t, AgentConfig{User: "alice"}), media(t)
	c := Call{To: number(p, "601"), SDP: am.Offer("sendrecv")}
	out := got[*Outgoing](t)(alice.Invite(c))
	got[*sip.Response](t)(out.Await(ctx, 401))
	c.User, c.Password = "alice", "secret"
	out = got[*Outgoing](t)(alice.Invite(c))
	d := got[*Dialog](t)(out.Answered(ctx, ""))
	must(t, am.Connect(d.Remote))
	must(t, am.WaitTone(ctx, 1004))
	must(t, d.Bye(ctx))
	c.To = number(p, "bob") // known, not registered
	out = got[*Outgoing](t)(alice.Invite(c))
	got[*sip.Response](t)(out.Await(ctx, 480))
	idle(t, ctx, p)
}
