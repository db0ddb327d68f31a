package bridge

import (
	"cmp"
	"strings"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/hiding"
	"tandem/bridge/numbers"
)

// Presentation is how numbers and callers are written towards a pool or trunk, and read from it. The rest of the bridge, and the
// routes, see numbers as numbers.Plan.Heard gives them.
type Presentation struct {
	Numbers numbers.Plan
	Caller  numbers.Caller
	Domain  string // of the Request-URI and To; "": as they come
}

// heard is a request outside a dialog as the gateway wants it. Its responses are made from the one that came.
func (b *Bridge) heard(in inbound) inbound {
	p := b.peering(in.backendName()).Presentation
	if p == nil || in.backend == nil {
		return in
	}
	in.req = in.req.Clone()
	from, to := in.req.From(), in.req.To()
	if p.Caller.Asserted && !wantsPrivacy(in.req.Headers()) {
		if name, uri, found := assertedBy(in.req); found {
			from.DisplayName, from.Address = name, sip.Uri{Scheme: "sip", User: dialledUser(uri), Host: cmp.Or(uri.Host, from.Address.Host)}
		}
	}
	for _, uri := range []*sip.Uri{&from.Address, &to.Address, &in.req.Recipient} {
		uri.User = p.Numbers.Heard(uri.User)
	}
	hearOthers(in.req, p)
	if in.req.Recipient.User != in.tx.Request().Recipient.User {
		in.uri = in.req.Recipient.String()
	}
	return in
}

// hearOthers takes the numbers of others than caller and callee, such as who diverted the call, as the gateway wants them.
func hearOthers(req *sip.Request, p *Presentation) {
	others := pick(req.Headers(), hiding.NamesOthers)
	for _, h := range others {
		req.RemoveHeader(h.Name())
	}
	for _, h := range others {
		req.AppendHeader(sip.NewHeader(h.Name(), hiding.Renumber(h.Value(), p.Numbers.Heard)))
	}
}

// requestURI is the Request-URI, byte for byte where it is as it came.
func (in inbound) requestURI() string {
	if in.uri != "" {
		return in.uri
	}
	return strings.Clone(in.tx.RequestURI())
}

// assertedBy is whom a request asserts (RFC 3325 §9.1); of a SIP and a tel URI the first.
func assertedBy(req *sip.Request) (name string, uri sip.Uri, found bool) {
	value := headerValue(req, "P-Asserted-Identity")
	if value == "" {
		value = headerValue(req, "Remote-Party-ID")
	}
	for _, one := range splitList(value) {
		var u sip.Uri
		if display, err := sip.ParseAddressValue(one, &u, nil); err == nil && dialledUser(u) != "" {
			return display, u, true
		}
	}
	return "", sip.Uri{}, false
}

// dialledUser is the user of a SIP URI, or the number of a tel URI, without its parameters; "" where that has none.
func dialledUser(uri sip.Uri) string {
	if !strings.EqualFold(uri.Scheme, "tel") {
		return uri.User
	}
	number, _, _ := strings.Cut(uri.Raw(), ";")
	digits, _ := numbers.Number(number)
	return digits
}

// presentation is that of a target; nil for browsers, and for phones that are registered here.
func (b *Bridge) presentation(t target) *Presentation {
	if t.backend == nil || t.binding.Contact != "" {
		return nil
	}
	return b.peering(t.backend.Name()).Presentation
}

// presented is the dialog of a request on its way to a target, written as that wants it.
func (b *Bridge) presented(in inbound, t target, d Dialog) Dialog {
	d = b.veiled(in, t, d)
	p := b.presentation(t)
	if p == nil {
		return d
	}
	d.Target, d.RemoteURI = p.callee(d.Target), p.callee(d.RemoteURI)
	var from sip.Uri
	if sip.ParseUri(d.LocalURI, &from) != nil {
		return d
	}
	shown := b.shown(in, t, from)
	if shown.User != from.User {
		d.LocalName = ""
	}
	if shown.User == "" {
		d.LocalName, d.LocalURI = "Anonymous", "sip:anonymous@anonymous.invalid"
		return d
	}
	from.Scheme, from.User = "sip", shown.User
	if !shown.IsAccount {
		from.User = p.Numbers.Written(from.User)
	}
	if p.Caller.Domain != "" {
		from.Host, from.Port, from.UriParams = p.Caller.Domain, 0, nil
	}
	d.LocalURI = from.String()
	return d
}

// callee writes the URI of who is called; one that stays as it is stays so byte for byte.
func (p *Presentation) callee(text string) string {
	var uri sip.Uri
	if sip.ParseUri(text, &uri) != nil || strings.EqualFold(uri.Scheme, "tel") {
		return text
	}
	was := uri
	uri.User = p.Numbers.Written(uri.User)
	if p.Domain != "" && !strings.EqualFold(uri.Host, p.Domain) {
		uri.Host, uri.Port, uri.UriParams = p.Domain, 0, nil
	}
	if uri.User == was.User && uri.Host == was.Host {
		return text
	}
	return uri.String()
}

// shown is who a target is told to be calling; from is the From that the route made. Who is believed to be the one in the From that
// came is whom the route makes of that: another is not, for the route was told a name that nobody vouched for.
func (b *Bridge) shown(in inbound, t target, from sip.Uri) numbers.Shown {
	peering := b.peering(t.backend.Name())
	user, asserted := dialledUser(from), b.believed(in)
	if asserted == dialledUser(in.req.From().Address) {
		asserted = user
	}
	return peering.Presentation.Caller.Show(numbers.Given{
		User: user, Asserted: asserted, Account: peering.Username,
		Private: wantsPrivacy(in.req.Headers()) || strings.EqualFold(from.Host, "anonymous.invalid"),
	})
}

// believed is the user whom the request is from on a word that counts: the registrar's and ours for browsers, a trusted backend's
// own; "" where there is none.
func (b *Bridge) believed(in inbound) string {
	var uri sip.Uri
	switch {
	case in.browser != nil && in.identity != "":
		_ = sip.ParseUri(in.identity, &uri) // our own
	case in.browser != nil:
		_ = sip.ParseUri(b.registeredAs(in.browser.Flow(), aorOf(in.req.From().Address)), &uri) // "" is nobody
	case in.backend != nil && !b.peering(in.backend.Name()).Untrusted:
		_, uri, _ = assertedBy(in.req)
	}
	return dialledUser(uri)
}

// rulesIdentity says whether a backend's configuration says which header names the caller, in the place of RFC 3325's trust.
func (p Peering) rulesIdentity() bool {
	return p.Presentation != nil && p.Presentation.Caller.Identity != ""
}

// assertedTo is the caller's identity on our word, for a target outside a call; see call.asserted.
func (b *Bridge) assertedTo(in inbound, t target) []sip.Header {
	if p := b.presentation(t); p != nil && p.Caller.Identity != "" {
		ours := t.backend.Contact("").Host
		return p.identity(b.shown(in, t, callerAs(in.req.From().Address, t.change)), ours, wantsPrivacy(in.req.Headers()))
	}
	return in.asserted(t.peer())
}

// identity is the header that names the caller, at our host where no domain is said, and what keeps it private (RFC 3325 §9.3)
// where the caller's words do not.
func (p *Presentation) identity(s numbers.Shown, ours string, asked bool) []sip.Header {
	if s.Identity == "" {
		return nil
	}
	uri := sip.Uri{Scheme: "sip", User: p.Numbers.Written(s.Identity), Host: cmp.Or(p.Caller.Domain, ours)}
	private := asked || s.User == ""
	if p.Caller.Header == "Remote-Party-ID" {
		level := "off"
		if private {
			level = "full"
		}
		return []sip.Header{sip.NewHeader(p.Caller.Header, "<"+uri.String()+">;party=calling;screen=yes;privacy="+level)}
	}
	out := []sip.Header{sip.NewHeader(cmp.Or(p.Caller.Header, "P-Asserted-Identity"), "<"+uri.String()+">")}
	if private && !asked {
		out = append(out, sip.NewHeader("Privacy", "id"))
	}
	return out
}
