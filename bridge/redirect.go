package bridge

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// maxRedirects is how many 3xx one call follows.
const maxRedirects = 5

// redirected follows a 3xx (RFC 3261 §8.1.3.4): to the first of its Contacts, by their q, to which the caller may be sent. False
// where there is none, or the backend's 3xx are the caller's.
func (br *branch) redirected(res *sip.Response) bool {
	c := br.call
	if res.StatusCode < 300 || res.StatusCode > 399 || res.StatusCode == 380 || br.over || br.leg.peering().PassRedirects {
		return false
	}
	for _, uri := range contactsByQ(res) {
		if len(c.redirects) >= maxRedirects || slices.Contains(c.redirects, uri.String()) {
			continue
		}
		t, ok := br.redirectTarget(uri)
		if !ok || !c.suits(t, br) {
			continue
		}
		c.redirects = append(c.redirects, uri.String())
		br.leg.log.Info("redirected", "status", res.StatusCode, "to", uri.String())
		br.leg.step(legHeardFinal)
		br.over = true
		br.leg.closeMedia()
		if t.uri == "" { // no route says otherwise
			t.uri = uri.String()
		}
		t.diversion = pick(res.Headers(), func(lower string) bool { return lower == "diversion" || lower == "history-info" })
		c.openBranch(t)
		c.settle()
		return true
	}
	return false
}

// contactsByQ are the addresses of a 3xx, the most wanted first (RFC 3261 §20.10).
func contactsByQ(res *sip.Response) []sip.Uri {
	type wish struct {
		uri sip.Uri
		q   float64
	}
	var wishes []wish
	for _, h := range res.GetHeaders("Contact") {
		contact, ok := h.(*sip.ContactHeader)
		if !ok || contact.Address.Wildcard {
			continue
		}
		q, err := strconv.ParseFloat(contact.Params.GetOr("q", "1"), 64)
		if err != nil {
			q = 0
		}
		wishes = append(wishes, wish{contact.Address, q})
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	var uris []sip.Uri
	for _, w := range wishes {
		w.uri.Headers = nil
		uris = append(uris, w.uri)
	}
	return uris
}

// redirectTarget is where a Contact of a 3xx leads: to the member of the redirecting pool that it names by address, else where the
// routes send the caller.
func (br *branch) redirectTarget(uri sip.Uri) (target, bool) {
	c, b := br.call, br.call.bridge
	if scheme := uri.Scheme; scheme != "sip" && scheme != "sips" && scheme != "tel" {
		return target{}, false
	}
	if host, err := netip.ParseAddr(strings.Trim(uri.Host, "[]")); err == nil && br.target.backend != nil {
		port := uint16(5060)
		if uri.Port != 0 {
			port = uint16(uri.Port)
		}
		name := poolOf(br.leg.backend) + "/" + netip.AddrPortFrom(host, port).String()
		if member := b.with.Backends.Backend(name); member != nil {
			return target{backend: member, change: br.target.change}, true
		}
	}
	d := b.with.Router.Route(c.caller.inviteQuery(uri))
	if d.Reject != 0 || vouched(c.in, d) && c.in.identity == "" {
		return target{}, false
	}
	in := c.in
	in.req = c.in.req.Clone()
	in.req.Recipient = uri
	stages, err := b.targets(in, d)
	if err != nil {
		return target{}, false
	}
	t := stages[0][0]
	t.credentials, t.issuer = false, nil
	return t, true
}
