package bridge

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity/stir"
)

// Verifying says what becomes of calls from a trunk by what their Identity headers prove.
type Verifying struct {
	Verifier      *stir.Verifier
	RejectFailed  bool // a call whose PASSporT does not hold is refused; else its callee is told
	RejectMissing bool // so is one without
	Tell          Tell
}

// Tell is where, beside X-Verstat, P-Attestation-Indicator and P-Origination-ID, the callee reads what was verified.
type Tell string

const (
	TellIdentity Tell = "identity" // in the number of P-Asserted-Identity, which the gateway sets where it verified the number; the zero value too
	TellFrom     Tell = "from"     // in the number of From
	TellBoth     Tell = "both"
	TellHeaders  Tell = "headers" // nowhere else
)

// Values of the verstat parameter (3GPP TS 24.229 §7.2A.20).
const (
	verstatPassed = "TN-Validation-Passed"
	verstatFailed = "TN-Validation-Failed"
	verstatNone   = "No-TN-Validation"
)

// The headers that tell of a verdict. They are the gateway's alone: from whom a number is not believed they are taken off.
const (
	headerVerstat     = "X-Verstat"
	headerAttestation = "P-Attestation-Indicator"
	headerOrigination = "P-Origination-ID"
)

// maxVerified bounds the calls whose PASSporTs are verified at once.
const maxVerified = 256

// verdict is what was verified about a call's caller. Immutable.
type verdict struct {
	verstat string
	proven  stir.Verified // of verstatPassed
	reason  string        // a stir.Fault's
	tell    Tell
}

// verified calls then once it is known what an INVITE's Identity headers prove: at once, or from another goroutine, as a certificate
// may have to be fetched. in.verdict and the request's headers tell of it then. Else it answers itself, as the trunk's policy says.
func (b *Bridge) verified(in inbound, then func(in inbound)) {
	v := b.peering(in.backendName()).STIR.Verify
	if in.backend == nil || v == nil {
		then(in)
		return
	}
	r := b.stirRequest(in)
	if len(r.Identities) == 0 { // nothing to wait for
		proven, fault := v.Verifier.Verify(context.Background(), r)
		b.judged(in, v, proven, fault, then)
		return
	}
	select {
	case b.verifying <- struct{}{}:
	default:
		b.judged(in, v, stir.Verified{}, &stir.Fault{Reason: stir.Busy, Why: "too many calls are being verified"}, then)
		return
	}
	b.waiting.Store(in.tx, in.backend)
	go func() {
		proven, fault := v.Verifier.Verify(context.Background(), r)
		<-b.verifying
		if _, still := b.waiting.LoadAndDelete(in.tx); !still { // cancelled, and answered
			return
		}
		b.judged(in, v, proven, fault, then)
	}()
}

// stirRequest is what an INVITE says of itself. The numbers of From are translated already, those of P-Asserted-Identity are not.
func (b *Bridge) stirRequest(in inbound) stir.Request {
	callers, callee := signedNumbers(b.peering(in.backend.Name()).Presentation, in.req)
	r := stir.Request{Date: headerValue(in.req, "Date"), Callee: stir.Digits(callee)}
	for _, n := range callers {
		if digits := stir.Digits(n); digits != "" {
			r.Callers = append(r.Callers, digits)
		}
	}
	if h := in.req.CallID(); h != nil {
		r.CallID = h.Value()
	}
	for _, h := range in.req.GetHeaders("Identity") {
		r.Identities = append(r.Identities, h.Value())
	}
	return r
}

// judged goes on with an INVITE, or refuses it. An emergency call is never refused.
func (b *Bridge) judged(in inbound, v *Verifying, proven stir.Verified, fault *stir.Fault, then func(in inbound)) {
	verdict := &verdict{verstat: verstatPassed, proven: proven, tell: v.Tell}
	outcome, reject := proven.Attest, false
	if outcome == "" {
		outcome = "unattested"
	}
	if fault != nil {
		verdict.verstat, verdict.reason, outcome, reject = verstatFailed, fault.Reason, fault.Reason, v.RejectFailed
		switch fault.Reason {
		case stir.Missing, stir.NoNumber:
			verdict.verstat, reject = verstatNone, v.RejectMissing
		case stir.Busy:
			verdict.verstat = verstatNone
		}
	}
	b.counters.verified(outcome)
	if reject && !b.control.IsEmergency(dialledUser(in.req.Recipient)) {
		status, phrase := fault.Status()
		b.log.Info("rejected by STIR", "origin", in.origin(), "from", in.req.From().Address.String(), "status", status, "reason", fault.Reason, "why", fault.Why)
		b.respond(in.tx, reply{status: status, reason: phrase, why: fault.Why})
		return
	}
	in.verdict, in.req = verdict, in.req.Clone()
	for _, h := range verdict.headers() {
		in.req.AppendHeader(h)
	}
	then(in)
}

// record is the verdict in the call's record.
func (v *verdict) record() *RecordSTIR {
	if v == nil {
		return nil
	}
	return &RecordSTIR{Verstat: v.verstat, Reason: v.reason, Attest: v.proven.Attest, OrigID: v.proven.OrigID}
}

// headers tell of the verdict, for routes and callees.
func (v *verdict) headers() []sip.Header {
	all := []sip.Header{sip.NewHeader(headerVerstat, v.verstat)}
	if v.proven.Attest != "" {
		all = append(all, sip.NewHeader(headerAttestation, v.proven.Attest))
	}
	if v.proven.OrigID != "" {
		all = append(all, sip.NewHeader(headerOrigination, v.proven.OrigID))
	}
	return all
}

// tells says whether a branch's peer hears what was verified: browsers, and backends that are trusted.
func (br *branch) tells() *verdict {
	v := br.call.in.verdict
	if v == nil || !br.leg.browser() && br.leg.peering().Untrusted {
		return nil
	}
	return v
}

// tellVerstat adds to a branch's INVITE what was verified.
func (br *branch) tellVerstat(out *sip.Request) {
	v := br.tells()
	if v == nil {
		return
	}
	for _, h := range br.leg.veil().Headers(v.headers()) {
		out.AppendHeader(h)
	}
	if v.tell != "" && v.tell != TellIdentity && v.tell != TellBoth {
		return
	}
	asserted := out.GetHeaders("P-Asserted-Identity")
	if len(asserted) > 0 {
		dropHeaders(out, "P-Asserted-Identity")
		for _, h := range asserted {
			for _, one := range splitList(h.Value()) {
				out.AppendHeader(sip.NewHeader("P-Asserted-Identity", br.marked(v, one)))
			}
		}
		return
	}
	if v.verstat == verstatPassed && br.leg.mayKnow(br.call.in.req.Headers()) && (br.leg.browser() || !br.leg.peering().rulesIdentity()) {
		uri := sip.Uri{Scheme: "sip", User: "+" + v.proven.Number, Host: out.From().Address.Host} // which is not hidden
		proven := sip.NewHeader("P-Asserted-Identity", br.marked(v, "<"+uri.String()+">"))
		for _, h := range br.leg.veil().Headers([]sip.Header{proven}) {
			out.AppendHeader(h)
		}
	}
}

// marked is a name-addr, or a bare URI, with the verdict about its number, if it has one.
func (br *branch) marked(v *verdict, address string) string {
	var uri sip.Uri
	if _, err := sip.ParseAddressValue(address, &uri, nil); err != nil {
		return address
	}
	param := br.verstatOf(v, uri)
	if param == "" {
		return address
	}
	if strings.EqualFold(uri.Scheme, "tel") {
		raw := uri.Raw()
		return strings.Replace(address, raw, raw+param, 1)
	}
	return strings.Replace(address, ":"+uri.User+"@", ":"+uri.User+param+"@", 1)
}

// verstatOf is the parameter for a URI's number; "" where it has none. A number that the PASSporT does not name is not validated.
func (br *branch) verstatOf(v *verdict, uri sip.Uri) string {
	p := br.leg.peering().Presentation
	user := dialledUser(uri)
	if p != nil && !br.leg.browser() {
		user = p.Numbers.Heard(user)
	}
	number, _, _ := strings.Cut(user, ";")
	switch digits := stir.Digits(number); {
	case digits == "":
		return ""
	case v.verstat == verstatPassed && digits != v.proven.Number:
		return ";verstat=" + verstatNone
	}
	return ";verstat=" + v.verstat
}

// shownVerstat writes the verdict into the From of a branch's dialog, where the trunk's policy says so.
func (br *branch) shownVerstat() {
	v, d := br.tells(), &br.leg.dialog
	var from sip.Uri
	if v == nil || v.tell != TellFrom && v.tell != TellBoth || sip.ParseUri(d.LocalURI, &from) != nil {
		return
	}
	if param := br.verstatOf(v, from); param != "" {
		from.User += param
		d.LocalURI = from.String()
	}
}

// verstatParam is the parameter of a number, wherever it stands in a URI.
var verstatParam = regexp.MustCompile(`(?i);\s*verstat\b(=[^;@>,\s"]*)?`)

// unproven takes off a request what only who is believed may say about a number.
func (b *Bridge) unproven(in inbound) inbound {
	p := b.peering(in.backendName())
	if in.backend != nil && !p.Untrusted && p.STIR.Verify == nil {
		return in
	}
	names := []string{headerVerstat, headerAttestation, headerOrigination}
	says := func(name string) bool { return in.req.GetHeader(name) != nil }
	from := in.req.From().Address.String()
	if !slices.ContainsFunc(names, says) && !saysVerstat(from) && !saysVerstat(joined(listed(in.req, "P-Asserted-Identity"))) {
		return in
	}
	in.req = in.req.Clone()
	for _, name := range names {
		dropHeaders(in.req, name)
	}
	var uri sip.Uri
	if sip.ParseUri(verstatParam.ReplaceAllString(from, ""), &uri) == nil {
		if saysVerstat(uri.User) { // behind escapes
			uri.User, _, _ = strings.Cut(strings.ReplaceAll(strings.ToLower(uri.User), "%3b", ";"), ";")
		}
		in.req.From().Address = uri
	}
	asserted := withoutVerstat(in.req.GetHeaders("P-Asserted-Identity"))
	dropHeaders(in.req, "P-Asserted-Identity")
	for _, h := range asserted {
		in.req.AppendHeader(h)
	}
	return in
}

// saysVerstat says whether a text has the parameter, however it is written.
func saysVerstat(text string) bool {
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return strings.Contains(strings.ToLower(text), "verstat")
}

// withoutVerstat gives headers without a word about who was validated; where it hides the header goes.
func withoutVerstat(hs []sip.Header) (out []sip.Header) {
	for _, h := range hs {
		if asserts(sip.HeaderToLower(h.Name())) && saysVerstat(h.Value()) {
			value := verstatParam.ReplaceAllString(h.Value(), "")
			if saysVerstat(value) {
				continue
			}
			h = sip.NewHeader(h.Name(), value)
		}
		out = append(out, h)
	}
	return out
}
