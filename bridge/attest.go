package bridge

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/identity/stir"
	"tandem/bridge/numbers"
	"tandem/sipside/transaction"
)

// STIR is what becomes of Identity headers (RFC 8224) in calls with a trunk. Those that came with a call go on to any backend where
// they still hold.
type STIR struct {
	Sign   *Signing   // calls to it
	Verify *Verifying // calls from it
}

// Signing says what the gateway attests (RFC 8588) of calls to a trunk.
type Signing struct {
	Signer *stir.Signer
	Attest string // where no rule matches: stir.Full, stir.Partial, stir.Gateway; "": nothing
	Rules  []AttestRule
	OrigID string // a UUID; "": one for each origin
}

// AttestRule is one rule; what it asks for has to hold together. The numbers have a plus sign and a country code.
type AttestRule struct {
	From   string // origin: "browsers", a pool or trunk; "": any
	Caller *regexp.Regexp
	Callee *regexp.Regexp
	Claim  map[string]*regexp.Regexp // of the browser's token
	Attest string                    // "": the call is not signed
}

// signedFailed is the outcome of a signature that could not be made.
const signedFailed = "failed"

// attest gives a branch's INVITE, complete as it is, its Identity headers: those that came with the call where they still hold, or
// one of ours.
func (br *branch) attest(out *sip.Request) {
	if br.target.backend == nil {
		return
	}
	callers, callee := signedNumbers(br.leg.peering().Presentation, out)
	if passed := br.identities(callers, callee); len(passed) > 0 {
		for _, h := range passed {
			out.AppendHeader(h)
		}
		return
	}
	sign := br.leg.peering().STIR.Sign
	if sign == nil {
		return
	}
	who := slices.IndexFunc(callers, isGlobal)
	if who < 0 || callee == "" {
		br.leg.log.Debug("not signed: the caller or the callee has no number")
		return
	}
	if level := br.level(sign, callers[who], callee); level != "" {
		br.sign(out, sign, stir.Passport{Attest: level, Orig: stir.Digits(callers[who]), Dest: []string{stir.Digits(callee)}})
	}
}

// signedNumbers are those which a request to a trunk, or from it, names: the callers by what it asserts, then by From (RFC 8224 §6.1), the
// callee by To. They have a plus sign where it is known that they are of E.164; who has none is "".
func signedNumbers(p *Presentation, req *sip.Request) (callers []string, callee string) {
	plan := &numbers.Plan{}
	if p != nil {
		plan = &p.Numbers
	}
	number := func(uri sip.Uri) string {
		user, _, _ := strings.Cut(plan.Heard(dialledUser(uri)), ";")
		if stir.Digits(user) == "" {
			return ""
		}
		return user
	}
	for h := range transaction.Named(req, "P-Asserted-Identity") {
		for _, one := range splitList(h.Value()) {
			var uri sip.Uri
			if _, err := sip.ParseAddressValue(one, &uri, nil); err == nil && number(uri) != "" {
				callers = append(callers, number(uri))
			}
		}
	}
	return append(callers, number(req.From().Address)), number(req.To().Address)
}

// isGlobal says whether a number can be one of E.164: it says so, or it is as long as such and no national prefix begins it.
func isGlobal(number string) bool {
	digits := stir.Digits(number)
	return strings.HasPrefix(number, "+") && digits != "" || len(digits) >= 10 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// identities are the Identity headers of the caller's INVITE, all of them where one is for these numbers: a diverted call has a
// chain of them (RFC 8946). They name the caller, so they go only to who may know; what failed here does not go on.
func (br *branch) identities(callers []string, callee string) (all []sip.Header) {
	c := br.call
	if c.caller.browser() || !br.leg.mayKnow(c.in.req.Headers()) || c.in.verdict != nil && c.in.verdict.verstat == verstatFailed {
		return nil
	}
	holds := false
	for h := range transaction.Named(c.in.req, "Identity") {
		_, p, readable := stir.Claims(h.Value())
		if !readable || !oneLine(h.Value()) {
			continue
		}
		all = append(all, sip.NewHeader("Identity", h.Value()))
		is := func(digits string) func(string) bool {
			return func(number string) bool { return digits != "" && stir.Digits(number) == digits }
		}
		holds = holds || slices.ContainsFunc(callers, is(p.Orig)) && slices.ContainsFunc(p.Dest, is(stir.Digits(callee)))
	}
	if shown := br.leg.veil().Headers(all); !holds || !slices.Equal(shown, all) { // what had to be hidden is signed
		return nil
	}
	return all
}

// level is what the first rule that matches attests. More than where a call comes from is attested only where the gateway knows the
// caller: a browser has proved its name or is registered on its connection, what came with a PASSporT to be verified passed.
func (br *branch) level(s *Signing, caller, callee string) string {
	c := br.call
	level := s.Attest
	claims := c.bridge.claimsOf(c.in.browser, claimOf(c.in.req))
	for _, r := range s.Rules {
		if r.matches(c.in.origin(), "+"+stir.Digits(caller), "+"+stir.Digits(callee), claims) {
			level = r.Attest
			break
		}
	}
	known := c.searching == nil
	switch {
	case c.in.browser != nil:
		aor := aorOf(c.in.req.From().Address)
		known = known && (c.in.identity != "" || c.bridge.registeredAs(c.in.browser.Flow(), aor) == aor)
	case c.in.verdict != nil:
		known = known && c.in.verdict.verstat == verstatPassed
	}
	if level != "" && !known {
		return stir.Gateway
	}
	return level
}

func (r AttestRule) matches(origin, caller, callee string, claims func(string) []string) bool {
	if r.From != "" && r.From != origin || r.Caller != nil && !r.Caller.MatchString(caller) || r.Callee != nil && !r.Callee.MatchString(callee) {
		return false
	}
	for path, re := range r.Claim {
		if claims == nil || !slices.ContainsFunc(claims(path), re.MatchString) {
			return false
		}
	}
	return true
}

// sign appends the Identity header, and the Date that belongs to it (RFC 8224 §4.1). Without a signature the call goes all the same.
func (br *branch) sign(out *sip.Request, s *Signing, p stir.Passport) {
	c := br.call
	p.IssuedAt, p.OrigID = time.Now(), cmp.Or(s.OrigID, c.bridge.originID(c.in.origin()))
	value, err := s.Signer.Sign(p)
	if err != nil {
		br.leg.log.Error("the call is not signed", "error", err)
		c.bridge.counters.signed(signedFailed)
		return
	}
	dropHeaders(out, "Date")
	out.AppendHeader(sip.NewHeader("Date", p.IssuedAt.UTC().Format(http.TimeFormat)))
	out.AppendHeader(sip.NewHeader("Identity", value))
	c.stirRecord().Signed = p.Attest
	c.bridge.counters.signed(p.Attest)
}

// originID stands for an origin without telling its name (RFC 8588 §5).
func (b *Bridge) originID(origin string) string {
	sum := sha256.Sum256(append(append([]byte("origid "), b.cfg.Secret...), origin...))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// stirRecord is that of the call's record.
func (c *call) stirRecord() *RecordSTIR {
	if c.record.STIR == nil {
		c.record.STIR = &RecordSTIR{}
	}
	return c.record.STIR
}
