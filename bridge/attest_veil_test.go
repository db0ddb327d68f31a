package bridge

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity/stir"
	"tandem/bridge/route"
	"tandem/sipside/siptest"
)

// What is signed for a trunk from which the networks are hidden is what leaves: the callers and the callee as it reads them, and in the
// token no word of the PBX that called.
func TestSignedIsWhatLeavesHidden(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	routes := []route.Rule{{From: "pbx", User: regexp.MustCompile(`^\+`), To: "other"}, {From: "pbx", To: "browsers"}, {To: "pbx"}}
	w := newWorld(t, conditions{other: true, routes: routes, bridge: Config{Peerings: a.signing(Signing{Attest: "B", OrigID: stirOrigin})}})
	w.leaks.also("pbx.local")
	pbx := w.agents[0]
	host, at := pbx.Addr().Addr().String(), w.sip.Addrs()[0]
	_, err := pbx.Invite(siptest.Call{
		To:   sip.Uri{Scheme: "sip", User: stirCallee, Host: at.Addr().String(), Port: int(at.Port())},
		From: &sip.FromHeader{DisplayName: "Bob at " + host, Address: sip.Uri{Scheme: "sip", User: stirCaller, Host: host, Port: 5060}},
		SDP:  w.rtp().Offer("sendrecv"), Headers: append(talkative(host), sip.NewHeader("Date", "Sat, 21 Nov 2020 10:00:00 GMT")),
	})
	w.check(err)
	in, err := w.other.Expect(w.ctx(), sip.INVITE)
	w.check(err)
	req := in.Request()
	w.check(in.Respond(siptest.Reply{Status: 486}))

	if from := req.From().Address; from.Host == host || req.GetHeader("Diversion") == nil {
		t.Errorf("not hidden, or more than that:\n%s", req)
	}
	identity := headerValue(req, "Identity")
	token, _, _ := strings.Cut(identity, ";")
	for _, part := range strings.Split(token, ".")[:2] {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || strings.Contains(string(text), memberNet) || strings.Contains(string(text), "pbx") || strings.Contains(string(text), mediaHost) {
			t.Errorf("signed is %s, %v", text, err)
		}
	}
	callers, callee := signedNumbers(w.bridge.peering("other").Presentation, req) // as the trunk reads them
	r := stir.Request{Identities: []string{identity}, Date: headerValue(req, "Date"), Callee: stir.Digits(callee)}
	for _, n := range callers {
		if digits := stir.Digits(n); digits != "" {
			r.Callers = append(r.Callers, digits)
		}
	}
	if got, fault := a.verifier().Verify(w.ctx(), r); fault != nil || got.Attest != "B" || got.OrigID != stirOrigin || got.Number != "4930601" { // whom the PBX asserts
		t.Errorf("%+v, %v, of callers %q in\n%s", got, fault, callers, req)
	}
	if date, err := http.ParseTime(r.Date); err != nil || time.Since(date) > time.Hour {
		t.Errorf("Date %q: the PBX's left, or none", r.Date)
	}
}
