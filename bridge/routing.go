package bridge

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/wss"
)

// What the routes are asked about, and how requests obey what they say.

// query is what the routes are asked about a request outside a dialog.
func (b *Bridge) query(in inbound) route.Query {
	return route.Query{
		From: in.origin(), Domain: in.req.Recipient.Host, User: dialledUser(in.req.Recipient), Method: string(in.req.Method),
		FromUser: dialledUser(in.req.From().Address), At: time.Now(),
		Header: headersOf(in.req), Claim: b.claimsOf(in.browser, claimOf(in.req)),
	}
}

// routed calls then with what the routes say of a request outside a dialog, once it is known that its sender may (see authorized). Else
// it answers itself.
func (b *Bridge) routed(in inbound, then func(in inbound, d route.Decision)) {
	d := b.with.Router.Route(b.query(in))
	if d.Reject != 0 {
		b.notRouted(in, d)
		return
	}
	b.authorized(in, d, func(in inbound) { then(in, d) })
}

// inviteQuery asks the routes about an INVITE of our own making, in a leg's name.
func (l *leg) inviteQuery(to sip.Uri) route.Query {
	q := route.Query{From: originOf(l), Domain: to.Host, User: dialledUser(to), Method: string(sip.INVITE), At: time.Now()}
	var peer sip.Uri
	if sip.ParseUri(l.dialog.RemoteURI, &peer) == nil {
		q.FromUser = dialledUser(peer)
	}
	if conn, ok := l.peer.(*wss.Conn); ok {
		q.Claim = l.call.bridge.claimsOf(conn, l.aor)
	}
	return q
}

// notRouted answers what a rule, or the lack of one, rejects. The rules themselves are no business of the sender's.
func (b *Bridge) notRouted(in inbound, d route.Decision) {
	b.log.Info("rejected by route", "method", in.req.Method, "origin", in.origin(), "status", d.Reject, "why", d.Why())
	b.respond(in.tx, reply{status: d.Reject, why: d.Refusal()})
}

// headersOf gives the values of a request's headers.
func headersOf(req *sip.Request) func(string) []string {
	return func(name string) (values []string) {
		for _, h := range req.GetHeaders(name) {
			values = append(values, h.Value())
		}
		return values
	}
}

// claimsOf gives the claims of the token with which a connection proved to be an address of record's user.
func (b *Bridge) claimsOf(c *wss.Conn, aor string) func(string) []string {
	if c == nil {
		return nil
	}
	return func(path string) []string {
		who, _, _ := b.subjects.of(c, aor)
		return who.Claim(path)
	}
}

// rewritten is a Request-URI as a route has it; false where the route leaves it as it is.
func rewritten(uri sip.Uri, c *route.Change) (sip.Uri, bool) {
	if c == nil || c.User == "" && c.Domain == "" {
		return uri, false
	}
	if uri.Raw() != "" { // tel: becomes sip: where a route knows where to (RFC 3261 §19.1.6)
		if c.Domain == "" {
			return uri, false
		}
		uri = sip.Uri{Scheme: "sip", User: route.Plain(uri.Raw())}
	}
	uri = *uri.Clone()
	if c.User != "" {
		uri.User = c.User
	}
	if c.Domain != "" {
		uri.Host, uri.Port, uri.UriParams = c.Domain, 0, nil
	}
	return uri, true
}

// callerAs is the address of From as a route has it.
func callerAs(from sip.Uri, c *route.Change) sip.Uri {
	if c == nil {
		return from
	}
	uri, _ := rewritten(from, &route.Change{User: c.FromUser, Domain: c.FromDomain})
	return uri
}

// calleeAs is the address of To as a route has it: where it was the Request-URI's it goes on being that.
func calleeAs(to, was, now sip.Uri) sip.Uri {
	if aorOf(to) != aorOf(was) {
		return to
	}
	now.UriParams, now.Headers = nil, nil
	return now
}

// obey changes a request's headers as its route says. What legs make for themselves it leaves alone, and a line stays one line.
func obey(out *sip.Request, c *route.Change) {
	if c == nil {
		return
	}
	for _, name := range c.Remove {
		removeHeaders(out, name)
	}
	for _, h := range c.Set {
		removeHeaders(out, h.Name)
	}
	for _, hs := range [][]route.Header{c.Set, c.Add} {
		for _, h := range hs {
			if route.Writable(h.Name) == nil && h.Value != "" && oneLine(h.Value) {
				out.AppendHeader(sip.NewHeader(h.Name, h.Value))
			}
		}
	}
}

// removeHeaders removes all headers of a name, but none that a leg makes for itself.
func removeHeaders(out *sip.Request, name string) {
	if route.Writable(name) == nil {
		dropHeaders(out, name)
	}
}

// dropHeaders removes all headers of a name, however it is written.
func dropHeaders(req *sip.Request, name string) {
	for _, h := range req.GetHeaders(name) {
		req.RemoveHeader(h.Name())
	}
}
