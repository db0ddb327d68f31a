package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
	"tandem/wss/wsstest"
)

// byPreference gives the doubles in the order in which alice's REGISTER tries them.
func (rig *registerRig) byPreference(doubles ...*registrarDouble) []*registrarDouble {
	rig.t.Helper()
	var ordered []*registrarDouble
	for _, backend := range rig.bridge.with.Backends.Pool("pbx").Home("sip:alice@example.com") {
		for _, d := range doubles {
			if d.name() == backend.Name() {
				ordered = append(ordered, d)
			}
		}
	}
	if len(ordered) != len(doubles) {
		rig.t.Fatalf("%d of %d members found", len(ordered), len(doubles))
	}
	return ordered
}

func TestFailoverToTheNextMember(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  func(d *registrarDouble)
		status int
	}{
		{"503", func(d *registrarDouble) { d.status = 503 }, 0},
		{"408", func(d *registrarDouble) { d.status = 408 }, 0},
		{"silence", func(d *registrarDouble) { d.deaf = true }, 0},
		{"port unreachable", func(d *registrarDouble) { d.conn.Close() }, 0},
		{"500 is an answer", func(d *registrarDouble) { d.status = 500 }, 500},
		{"403 is an answer", func(d *registrarDouble) { d.status = 403 }, 403},
		{"603 is an answer", func(d *registrarDouble) { d.status = 603 }, 603},
		{"302 leads where no browser can go", func(d *registrarDouble) { d.status = 302 }, 480},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := newRegistrarDouble(t, "secret"), newRegistrarDouble(t, "secret")
			patience := rigTryTimeout
			if tt.name == "silence" {
				patience = rigImpatient
			}
			rig := newImpatientRig(t, patience, a, b)
			order := rig.byPreference(a, b)
			order[0].set(func() { tt.fault(order[0]) })
			page := rig.dial(wsstest.Options{})
			if tt.status != 0 {
				res := rig.refused(page, "alice", "secret")
				if res.StatusCode != tt.status || len(order[1].requests()) != 0 || headerValue(res, "Retry-After") != "7" {
					t.Errorf("%d %s; the other member saw %d requests", res.StatusCode, res.Reason, len(order[1].requests()))
				}
				return
			}
			rig.register(page, "alice", "secret")
			if got := rig.only().Backend; got != order[1].name() {
				t.Errorf("registered at %s, want %s", got, order[1].name())
			}
			if rig.bridge.Stats().Failovers == 0 {
				t.Error("not counted")
			}
		})
	}
}

func TestNoMemberAnswers(t *testing.T) {
	t.Parallel()
	a, b := newRegistrarDouble(t, ""), newRegistrarDouble(t, "")
	rig := newImpatientRig(t, time.Second, a, b) // whoever is silent is so for both questions
	page := rig.dial(wsstest.Options{})
	a.set(func() { a.deaf = true })
	b.set(func() { b.deaf = true })
	if res := rig.refused(page, "alice", ""); res.StatusCode != 504 || !strings.Contains(headerValue(res, "Reason"), "no registrar answers") {
		t.Errorf("%d, Reason %s", res.StatusCode, headerValue(res, "Reason"))
	}
	a.set(func() { a.deaf, a.status = false, 503 })
	b.set(func() { b.deaf, b.status = false, 503 })
	res := rig.refused(page, "alice", "")
	if res.StatusCode != 480 || !strings.Contains(headerValue(res, "Reason"), "cause=503") || headerValue(res, "Retry-After") != "7" {
		t.Errorf("a backend's 503 became %d, Reason %s", res.StatusCode, headerValue(res, "Reason"))
	}
	if stats := rig.bridge.Stats(); stats.Registers[registerUnanswered] != 1 || stats.Registers[registerRefused] != 1 || stats.Registrations != 0 {
		t.Errorf("stats: %+v", stats)
	}
}

// A slow registrar is better than none: the last member has five times as long.
func TestLastMemberHasLonger(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "")
	rig := newImpatientRig(t, rigImpatient, pbx)
	page := rig.dial(wsstest.Options{})
	pbx.set(func() { pbx.deaf = true })
	start := time.Now()
	answered := make(chan *sip.Response, 1)
	go func() {
		res, _ := page.Register(rig.ctx, "alice", "")
		answered <- res
	}()
	rig.until("a TryTimeout has passed", func() bool { return time.Since(start) > 3*rigImpatient/2 })
	pbx.set(func() { pbx.deaf = false })
	if res := <-answered; res == nil || res.StatusCode != 200 {
		t.Errorf("%v\n%s", res, page.Ladder())
	}
}

// The member that challenged dies before the credentials come: the client is challenged anew, with stale=true so that it does
// not blame the password, by the next member; and its new credentials go there.
func TestCredentialsOfADeadMember(t *testing.T) {
	t.Parallel()
	a, b := newRegistrarDouble(t, "secret"), newRegistrarDouble(t, "secret")
	rig := newImpatientRig(t, rigImpatient, a, b)
	order := rig.byPreference(a, b)
	page := rig.dial(wsstest.Options{})
	page.SetUser("alice", "") // no password: the challenge comes back to us
	res := rig.refused(page, "alice", "")
	if res.StatusCode != 401 || strings.Contains(headerValue(res, "WWW-Authenticate"), "stale") {
		t.Fatalf("%d %s", res.StatusCode, headerValue(res, "WWW-Authenticate"))
	}
	nonce := nonceIn(t, res)
	order[0].set(func() { order[0].deaf = true })

	late := page.NewRequest(sip.REGISTER, "sip:example.com")
	late.AppendHeader(&sip.ContactHeader{Address: page.Contact()})
	late.AppendHeader(sip.NewHeader("Authorization", `Digest username="alice", realm="double", nonce="`+nonce+`", uri="sip:example.com", response="0"`))
	res, err := page.Do(rig.ctx, late)
	if err != nil || res.StatusCode != 401 || !strings.Contains(headerValue(res, "WWW-Authenticate"), "stale=true") {
		t.Fatalf("not challenged anew: %v, %v", res, err)
	}
	for _, msg := range order[1].requests() {
		if headerValue(msg.Message.(*sip.Request), "Authorization") != "" {
			t.Error("credentials went to a member that did not ask for them")
		}
	}
	rig.register(page, "alice", "secret")
	if got := rig.only().Backend; got != order[1].name() {
		t.Errorf("registered at %s", got)
	}
}

// A nonce that nobody here remembers (the gateway restarted) is tried, and a refusal of it is no wrong password.
func TestCredentialsOfAnUnknownMember(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, pbx)
	page := rig.dial(wsstest.Options{})
	req := page.NewRequest(sip.REGISTER, "sip:example.com")
	req.AppendHeader(&sip.ContactHeader{Address: page.Contact()})
	const credentials = `Digest username="alice", realm="double", nonce="forgotten", uri="sip:example.com", response="0"`
	req.AppendHeader(sip.NewHeader("Authorization", credentials))
	page.SetUser("alice", "")
	res, err := page.Do(rig.ctx, req)
	if err != nil || res.StatusCode != 401 || !strings.Contains(headerValue(res, "WWW-Authenticate"), "stale=true") {
		t.Fatalf("%v, %v", res, err)
	}
	if got := headerValue(pbx.requests()[0].Message.(*sip.Request), "Authorization"); got != credentials {
		t.Errorf("Authorization: %s", got)
	}
}

// A registered user's member dies; its refresh moves to the other, whatever its nonce was.
func TestRefreshMovesFromADeadMember(t *testing.T) {
	t.Parallel()
	a, b := newRegistrarDouble(t, "secret"), newRegistrarDouble(t, "secret")
	rig := newRegisterRig(t, a, b)
	order := rig.byPreference(a, b)
	page := rig.dial(wsstest.Options{})
	rig.register(page, "alice", "secret")
	before := rig.only()
	if before.Backend != order[0].name() {
		t.Fatalf("first at %s", before.Backend)
	}
	order[0].conn.Close()
	rig.register(page, "alice", "secret")
	after := rig.only()
	if after.Backend != order[1].name() || after.Token != before.Token {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	first, last := order[0].requests()[0].Message, order[1].requests()[0].Message
	if first.CallID().Value() != last.CallID().Value() {
		t.Error("the Call-ID changed with the member")
	}
	if tag := func(m sip.Message) string { return m.From().Params.GetOr("tag", "") }; tag(first) == tag(last) {
		t.Error("two members' legs have one From tag")
	}
}

// Credentials that are no digest are not bound to a member: they go along.
func TestBearerSurvivesFailover(t *testing.T) {
	t.Parallel()
	a, b := newRegistrarDouble(t, ""), newRegistrarDouble(t, "")
	rig := newRegisterRig(t, a, b)
	order := rig.byPreference(a, b)
	order[0].set(func() { order[0].status = 503 })
	page := rig.dial(wsstest.Options{})
	req := page.NewRequest(sip.REGISTER, "sip:example.com")
	req.To().Address.User = "alice"
	req.AppendHeader(&sip.ContactHeader{Address: page.Contact()})
	req.AppendHeader(sip.NewHeader("Authorization", "eyJhbGciOi.J9"))
	if res, err := page.Do(rig.ctx, req); err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	for _, d := range order {
		if got := headerValue(d.requests()[0].Message.(*sip.Request), "Authorization"); got != "eyJhbGciOi.J9" {
			t.Errorf("Authorization: %q", got)
		}
	}
}

func nonceIn(t *testing.T, res *sip.Response) string {
	t.Helper()
	_, rest, ok := strings.Cut(headerValue(res, "WWW-Authenticate"), `nonce="`)
	nonce, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatalf("no nonce in %q", headerValue(res, "WWW-Authenticate"))
	}
	return nonce
}

// Digest covers the Request-URI and the credentials as they stand: not one byte may change.
func TestBytesThatDigestCovers(t *testing.T) {
	t.Parallel()
	pbx := newRegistrarDouble(t, "")
	rig := newRegisterRig(t, pbx)
	page := rig.dial(wsstest.Options{Raw: true})
	const uri, credentials = `sip:Example.COM;Odd=%61b;lr`, `Digest username="a,\"b", nonce=x,  uri="sip:Example.COM" , response=1`
	raw := "REGISTER " + uri + " SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n" +
		"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\n" +
		"Contact: <sip:x@y.invalid;transport=ws>\r\nAuthorization:   " + credentials + "\r\nX-Extra: a;b=\"c, d\"\r\n\r\n"
	if err := page.SendRaw([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	if _, err := page.Expect(rig.ctx, wsstest.Response(200, sip.REGISTER)); err != nil {
		t.Fatal(err)
	}
	msg := pbx.requests()[0]
	if msg.RequestURI != uri {
		t.Errorf("Request-URI %q, want %q", msg.RequestURI, uri)
	}
	req := msg.Message.(*sip.Request)
	if got := headerValue(req, "Authorization"); got != credentials {
		t.Errorf("Authorization %q, want %q", got, credentials)
	}
	if got := headerValue(req, "X-Extra"); got != `a;b="c, d"` {
		t.Errorf("X-Extra %q", got)
	}
	wire := string(transaction.Append(nil, msg))
	for _, browsers := range []string{".invalid", "Call-ID: c1\r\n", ";tag=1\r\n", "WSS"} {
		if strings.Contains(wire, browsers) {
			t.Errorf("%q of the browser's leg reached the backend:\n%s", browsers, wire)
		}
	}
}
