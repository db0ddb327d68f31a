package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/bridge/identity/stir"
	"tandem/bridge/numbers"
	"tandem/sipside/siptest"
	"tandem/wss/wsstest"
)

const asserted = "P-Asserted-Identity"

// What a trunk's call proves reaches the browser, and is in the record.
func TestVerifiedFromATrunk(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	old := func(p *stir.Passport) { p.IssuedAt = p.IssuedAt.Add(-time.Hour) }
	other := func(p *stir.Passport) { p.Orig = "12155550000" }
	passed := "<sip:+12155551212;verstat=TN-Validation-Passed@carrier.example>"
	as := func(*stir.Passport) {}
	for name, c := range map[string]struct {
		signed  func(*stir.Passport) // when the call is made, for a PASSporT is soon too old; nil: not
		headers []sip.Header
		v       Verifying
		more    func(*Peering)

		verstat, attest, asserts, from string // from: the user; "": the number
		record                         string
	}{
		"passed": {signed: as, verstat: verstatPassed, attest: "A", asserts: passed,
			record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"in From": {signed: as, v: Verifying{Tell: TellFrom}, verstat: verstatPassed, attest: "A",
			from: stirCaller + ";verstat=TN-Validation-Passed", record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"in both": {signed: as, v: Verifying{Tell: TellBoth}, verstat: verstatPassed, attest: "A", asserts: passed,
			from: stirCaller + ";verstat=TN-Validation-Passed", record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"in headers": {signed: as, v: Verifying{Tell: TellHeaders}, verstat: verstatPassed, attest: "A",
			record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"too old": {signed: old, verstat: verstatFailed, record: "TN-Validation-Failed stale   signed "},
		"too old, trusted": {signed: old, headers: []sip.Header{sip.NewHeader(asserted, "<sip:+12155551212@x.example>")},
			more: func(p *Peering) { p.Untrusted = false }, verstat: verstatFailed,
			asserts: "<sip:+12155551212;verstat=TN-Validation-Failed@x.example>", record: "TN-Validation-Failed stale   signed "},
		"trusted": {signed: as, headers: []sip.Header{sip.NewHeader(asserted, `"A" <sip:+12155551212@x.example>, <tel:+12155559999>`)},
			more: func(p *Peering) { p.Untrusted = false }, verstat: verstatPassed, attest: "A",
			asserts: `"A" <sip:+12155551212;verstat=TN-Validation-Passed@x.example> | <tel:+12155559999;verstat=No-TN-Validation>`,
			record:  "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"another's": {signed: other, verstat: verstatFailed, record: "TN-Validation-Failed mismatch   signed "},
		"what is asserted is proven": {signed: other, headers: []sip.Header{sip.NewHeader(asserted, "<sip:+12155550000@x.example>")},
			verstat: verstatPassed, attest: "A", asserts: "<sip:+12155550000;verstat=TN-Validation-Passed@carrier.example>",
			record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
		"none":    {verstat: verstatNone, record: "No-TN-Validation missing   signed "},
		"private": {signed: as, headers: []sip.Header{sip.NewHeader("Privacy", "id")}, verstat: verstatPassed, attest: "A", record: "TN-Validation-Passed  A " + stirOrigin + " signed "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, b := a.verifying(t, c.v, c.more)
			if c.signed != nil {
				c.headers = append(c.headers, a.identity(c.signed))
			}
			got := w.invited(b, w.fromTrunk("alice", c.headers...))
			var asserts []string
			for _, h := range got.GetHeaders(asserted) {
				asserts = append(asserts, h.Value())
			}
			if header(got, "X-Verstat") != c.verstat || header(got, "P-Attestation-Indicator") != c.attest || strings.Join(asserts, " | ") != c.asserts {
				t.Errorf("asserts %q:\n%s", asserts, got.String())
			}
			if c.from == "" {
				c.from = stirCaller
			}
			if got.From().Address.User != c.from || (header(got, "P-Origination-ID") == stirOrigin) != (c.attest != "") || got.GetHeader("Identity") != nil {
				t.Errorf("the browser got\n%s", got.String())
			}
			if got := w.record().STIR.String(); got != c.record {
				t.Errorf("record %q", got)
			}
		})
	}
}

// A national trunk's numbers are verified as what they mean.
func TestVerifiedNationalNumbers(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, b := a.verifying(t, Verifying{}, func(p *Peering) {
		p.Presentation = &Presentation{Numbers: numbers.Plan{Format: numbers.National, Country: "1", National: "1", International: "011"}}
	})
	call := w.fromTrunk("alice", a.identity())
	call.From.Address.User, call.ToHeader.Address.User = "12155551212", "1(235)555-1212"
	if got := w.invited(b, call); header(got, "X-Verstat") != verstatPassed {
		t.Errorf("the browser got\n%s", got.String())
	}
	if n := w.bridge.Stats().Verified["A"]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// The words of the verdict are the gateway's: a trunk's own are taken off, in whatever form.
func TestVerstatIsOurs(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, b := a.verifying(t, Verifying{}, func(p *Peering) { p.Untrusted = false })
	for _, user := range []string{stirCaller + ";verstat=TN-Validation-Passed", stirCaller + ";VerStat=TN-Validation-Passed;x=y", stirCaller + "%3Bver%73tat%3DTN-Validation-Passed"} {
		call := w.fromTrunk("alice",
			sip.NewHeader("x-verstat", verstatPassed), sip.NewHeader("P-Attestation-Indicator", "A"), sip.NewHeader("P-Origination-ID", stirOrigin),
			sip.NewHeader(asserted, "<tel:+12155551212;verstat=TN-Validation-Passed>"),
			sip.NewHeader(asserted, "<sip:+12155551212;ver%73tat=TN-Validation-Passed@x.example>"))
		call.From.Address.User = user
		got := w.invited(b, call)
		if text := got.String(); strings.Contains(text, verstatPassed) || strings.Contains(text, "%73") || strings.Contains(text, stirOrigin) ||
			header(got, "P-Attestation-Indicator") != "" || header(got, asserted) != "<tel:+12155551212;verstat=No-TN-Validation>" {
			t.Errorf("the browser got\n%s", text)
		}
	}
	// a browser's, towards the trunk
	call, err := b.Invite(w.ctx(), stirCallee, wsstest.InviteOptions{Headers: []sip.Header{sip.NewHeader("X-Verstat", verstatPassed), sip.NewHeader("P-Attestation-Indicator", "A")}})
	w.check(err)
	in, err := w.agents[0].Expect(w.ctx(), sip.INVITE)
	w.check(err)
	if text := in.Request().String(); strings.Contains(text, verstatPassed) || strings.Contains(text, "Attestation") {
		t.Errorf("the trunk got\n%s", text)
	}
	w.check(in.Respond(siptest.Reply{Status: 486}))
	w.check(call.Wait(w.ctx(), wsstest.Ended))
}

// By policy what does not hold is refused as RFC 8224 §6.2.2 says, but no emergency call.
func TestRejectedBySTIR(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, b := a.verifying(t, Verifying{RejectFailed: true, RejectMissing: true}, nil)
	changed := func(old, new string) sip.Header {
		return sip.NewHeader("Identity", strings.ReplaceAll(a.identity().Value(), old, new))
	}
	for name, c := range map[string]struct {
		headers []sip.Header
		status  int
		phrase  string
	}{
		"none":           {nil, 428, "Use Identity Header"},
		"old":            {[]sip.Header{a.identity(func(p *stir.Passport) { p.IssuedAt = p.IssuedAt.Add(-time.Hour) })}, 403, "Stale Date"},
		"an old Date":    {[]sip.Header{a.identity(), sip.NewHeader("Date", "Sat, 21 Nov 2020 10:00:00 GMT")}, 403, "Stale Date"},
		"elsewhere":      {[]sip.Header{sip.NewHeader("Identity", elsewhere(t, a))}, 436, "Bad Identity Info"},
		"another kind":   {[]sip.Header{changed("alg=ES256", "alg=RS256")}, 437, "Unsupported Credential"},
		"another caller": {[]sip.Header{a.identity(func(p *stir.Passport) { p.Orig = "12155550000" })}, 438, "Invalid Identity Header"},
		"nonsense":       {[]sip.Header{sip.NewHeader("Identity", "nonsense")}, 438, "Invalid Identity Header"},
	} {
		out, err := w.agents[0].Invite(w.fromTrunk("alice", c.headers...))
		w.check(err)
		res, err := out.Final(w.ctx())
		w.check(err)
		if res.StatusCode != c.status || res.Reason != c.phrase || header(res, "Reason") == "" {
			t.Errorf("%s:\n%s", name, res.String())
		}
	}
	call := w.fromTrunk("alice")
	call.Target = w.sip.Addrs()[0]
	call.To.User, call.To.Host = "112", "example.com"
	out, err := w.agents[0].Invite(call)
	w.check(err)
	if res, err := out.Final(w.ctx()); err != nil || res.StatusCode != 404 { // nobody is registered as 112; but it was asked
		t.Errorf("emergency: %v, %v", res, err)
	}
	w.invited(b, w.fromTrunk("alice", a.identity()))
	if got := w.bridge.Stats().Verified; got["missing"] != 2 || got["stale"] != 2 || got["location"] != 1 || got["A"] != 1 {
		t.Errorf("%v", got)
	}
}

// elsewhere is an Identity header whose certificate is at an address that must not be asked.
func elsewhere(t *testing.T, a *authority) string {
	t.Helper()
	value, err := stir.NewSigner("https://127.0.0.2:22/cert.pem", a.file("key.pem"), nil).Sign(stir.Passport{
		Attest: stir.Full, Orig: stirCaller[1:], Dest: []string{stirCallee[1:]}, IssuedAt: time.Now(), OrigID: stirOrigin,
	})
	a.check(err)
	return value
}

// While a certificate is fetched nothing waits, and a CANCEL finds its INVITE.
func TestCancelWhileVerified(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.release = make(chan struct{})
	w, b := a.verifying(t, Verifying{}, nil)
	out, err := w.agents[0].Invite(w.fromTrunk("alice", a.identity()))
	w.check(err)
	if res, err := out.Next(w.ctx()); err != nil || res.StatusCode != 100 {
		t.Fatalf("%v, %v", res, err)
	}
	w.check(out.Cancel())
	if res, err := out.Final(w.ctx()); err != nil || res.StatusCode != 487 {
		t.Errorf("%v, %v", res, err)
	}
	close(a.release)
	got := w.invited(b, w.fromTrunk("alice", a.identity()))
	if header(got, "X-Verstat") != verstatPassed {
		t.Errorf("the browser got\n%s", got.String())
	}
}

// Certificates that are known outlive a reload that does not concern them.
func TestReloadKeepsCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _ := a.verifying(t, Verifying{}, nil)
	before := w.bridge.peering("pbx").STIR.Verify.Verifier
	w.bridge.Reload(map[string]Peering{"pbx": {STIR: STIR{Verify: &Verifying{Verifier: a.verifier(), RejectFailed: true}}}}, nil, admission.Limits{})
	if now := w.bridge.peering("pbx").STIR.Verify; now.Verifier != before || !now.RejectFailed {
		t.Error("the verifier is another, or its policy is not")
	}
	other := stir.NewVerifier(stir.Config{CA: a.file("web.pem")}, nil)
	w.bridge.Reload(map[string]Peering{"pbx": {STIR: STIR{Verify: &Verifying{Verifier: other}}}}, nil, admission.Limits{})
	if w.bridge.peering("pbx").STIR.Verify.Verifier != other {
		t.Error("the verifier is the old one")
	}
}
