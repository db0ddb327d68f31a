package bridge

import (
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

// talkative are headers as software writes them that knows its own network only.
func talkative(host string) []sip.Header {
	var out []sip.Header
	for _, line := range []string{
		"Diversion: <sip:+4930600@HOST:5060>;reason=unconditional", "History-Info: <sip:600@HOST?Reason=SIP%3Bcause%3D302>;index=1",
		"P-Asserted-Identity: \"Bob\" <sip:+4930601@HOST;user=phone>", "Remote-Party-ID: <sip:601@HOST>;party=calling",
		"Call-Info: <http://HOST/bob.png>;purpose=icon", "Alert-Info: <http://HOST/ring.wav>;info=alert-autoanswer",
		"Error-Info: <sip:tone@HOST>", "Warning: 399 HOST \"from HOST:5060\"", "X-Node: HOST", "X-Asterisk-Cause: HOST", "X-FS-Support: x",
		"Referred-By: <sip:602@HOST>", "Reply-To: <sip:603@HOST>", "Organization: pbx.local of HOST", "Server: siptest 1.2", "User-Agent: siptest 1.2",
		"Subject: siptest.internal", "Reason: siptest;cause=1;text=\"x\"", "Reason: Q.850;cause=17;text=\"HOST says so\"", "Record-Route: <sip:HOST;lr>",
		"Path: <sip:HOST;lr>", "Service-Route: <sip:HOST;lr>",
	} {
		name, value, _ := strings.Cut(line, ": ")
		out = append(out, sip.NewHeader(name, strings.ReplaceAll(value, "HOST", host)))
	}
	return out[: len(out)-3 : len(out)] // the last three are for those who have use for them
}

// A PBX that tells all it knows calls a browser and a trunk; they hear of nobody's network. What the scan of the world does not
// forbid is compared here.
func TestTopologyIsHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{other: true, routes: []route.Rule{
		{From: "pbx", User: regexp.MustCompile(`^\+`), To: "other"}, {From: "pbx", To: "browsers"}, {To: "pbx"},
	}})
	w.leaks.also("pbx.local")
	pbx := w.agents[0]
	host := pbx.Addr().Addr().String()
	b := w.registered("alice", wsstest.Options{})
	at := w.sip.Addrs()[0]
	trunk := sip.Uri{Scheme: "sip", User: "+4940", Host: at.Addr().String(), Port: int(at.Port())}
	from := &sip.FromHeader{DisplayName: "Bob at " + host, Address: sip.Uri{Scheme: "sip", User: "601", Host: host, Port: 5060}}

	out, err := pbx.Invite(siptest.Call{To: w.toBrowser("alice"), From: from, SDP: w.rtp().Offer("sendrecv"), Headers: talkative(host)})
	w.check(err)
	call, err := b.NextCall(w.ctx())
	w.check(err)
	got := call.Invitation()
	for name, want := range map[string]string{
		"Diversion": "<sip:+4930600@example.com>;reason=unconditional", "History-Info": "<sip:600@example.com?Reason=SIP%3Bcause%3D302>;index=1",
		"P-Asserted-Identity": `"Bob" <sip:+4930601@example.com;user=phone>`, "Alert-Info": "<http://anonymous.invalid/ring.wav>;info=alert-autoanswer",
		"X-Node": "anonymous.invalid", "X-Asterisk-Cause": "", "X-FS-Support": "", "Reply-To": "<sip:603@example.com>",
	} {
		if headerValue(got, name) != want {
			t.Errorf("%s: %q, want %q", name, headerValue(got, name), want)
		}
	}
	if f, to := got.From(), got.To(); f.Address.String() != "sip:601@example.com" || f.DisplayName != "Bob at anonymous.invalid" || to.Address.String() != "sip:alice@example.com" {
		t.Errorf("From %s, To %s", f.Value(), to.Value())
	}
	w.check(call.Reject(486, "Busy Here"))
	_, err = out.Final(w.ctx())
	w.check(err)

	_, err = pbx.Invite(siptest.Call{To: trunk, From: from, SDP: w.rtp().Offer("sendrecv"), Headers: talkative(host)})
	w.check(err)
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	req := in.Request()
	if ours := at.Addr().String(); req.From().Address.Host != ours ||
		headerValue(req, "Diversion") != "<sip:+4930600@"+ours+">;reason=unconditional" {
		t.Errorf("the trunk got\n%s", req)
	}
	w.check(in.Respond(siptest.Reply{Status: 480, Reason: "gone from " + trunkHost, Headers: talkative(trunkHost)}))
}

// What backends answer, refuse and report says nothing of them either.
func TestAnswersHideTopology(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{})
	w.leaks.also("pbx.local")
	pbx := w.agents[0]
	host := pbx.Addr().Addr().String()
	b := w.registered("alice", wsstest.Options{})

	call, err := b.Invite(w.ctx(), "600", wsstest.InviteOptions{})
	w.check(err)
	in, err := pbx.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	m := w.rtp()
	answer, err := m.Answer(in.SDP())
	w.check(err)
	w.check(in.Respond(siptest.Reply{Status: 183, Reason: "Ringing at " + host, SDP: answer, Headers: talkative(host)}))
	d, err := in.Accept(w.ctx(), siptest.Reply{Reason: "OK from " + host, SDP: answer, Headers: talkative(host)})
	w.check(err)
	w.check(call.Wait(w.ctx(), wsstest.Confirmed))
	res, err := d.Request(w.ctx(), sip.BYE, "", "", sip.NewHeader("Reason", `Q.850;cause=16;text="hung up at `+host+`"`))
	w.check(err)
	if res.StatusCode != 200 {
		t.Errorf("BYE: %d", res.StatusCode)
	}
	w.check(call.Wait(w.ctx(), wsstest.Ended))

	refused, err := b.Invite(w.ctx(), "601", wsstest.InviteOptions{})
	w.check(err)
	w.replies(pbx, sip.INVITE, 486, talkative(host)...)
	w.check(refused.Wait(w.ctx(), wsstest.Ended))

	message := w.sends(b, text(b.NewRequest(sip.MESSAGE, "bob"), "text/plain", "hello"))
	w.replies(pbx, sip.MESSAGE, 404, talkative(host)...)
	if res := <-message; res.StatusCode != 404 || !strings.HasPrefix(headerValue(res, "Reason"), "Q.850;cause=17") {
		t.Errorf("MESSAGE:\n%s", res)
	}

	s := w.subscribes(wsstest.Options{})
	notifier, _ := s.granted()
	_, err = notifier.Request(w.ctx(), sip.NOTIFY, "application/dialog-info+xml", `<dialog-info entity="sip:600@`+host+`:5060"/>`,
		append(talkative(host), sip.NewHeader("Event", "dialog"), sip.NewHeader("Subscription-State", "active"))...)
	w.check(err)
	msg, err := s.b.Expect(w.ctx(), wsstest.Request(sip.NOTIFY))
	w.check(err)
	if body := string(msg.Body()); body != `<dialog-info entity="sip:600@example.com"/>` {
		t.Errorf("NOTIFY: %s", body)
	}
}
