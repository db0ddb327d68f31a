package bridge

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// inbound is a request with where it came from: exactly one of browser and backend is set.
type inbound struct {
	tx      *transaction.Server
	req     *sip.Request
	browser *wss.Conn
	backend *sipside.Backend

	uri      string   // the Request-URI, where the peer's numbers were translated; "": as it came
	verdict  *verdict // of who calls from a trunk that is verified; nil: nobody asked
	identity string   // the address of record that the browser proved, where the route asks for it: see authorized
}

// origin is the request's origin for the routes: "browsers", or the pool's or trunk's name.
func (in inbound) origin() string {
	if in.browser != nil {
		return route.Browsers
	}
	return in.backend.Pool()
}

// backendName is the backend's name, "" for a browser.
func (in inbound) backendName() string {
	if in.backend == nil {
		return ""
	}
	return in.backend.Name()
}

func (in inbound) peer() peer {
	if in.browser != nil {
		return in.browser
	}
	return in.backend
}

// reached is the address of ours that the browser's WebSocket reached.
func (in inbound) reached() netip.Addr {
	if in.browser != nil {
		return in.browser.Local().Addr()
	}
	return netip.Addr{}
}

// ServeBrowser is the browsers' door's handler.
func (b *Bridge) ServeBrowser(c *wss.Conn, tx *transaction.Server) {
	b.serve(inbound{tx: tx, req: tx.Request(), browser: c})
}

// ServeBackend is the SIP world's door's handler.
func (b *Bridge) ServeBackend(from *sipside.Backend, tx *transaction.Server) {
	b.serve(inbound{tx: tx, req: tx.Request(), backend: from})
}

// serve gives a request to its call, or opens one, or answers at once. It blocks on a goroutine that is lent only.
func (b *Bridge) serve(in inbound) {
	if fault := transaction.Validate(in.req, transaction.Served{Extensions: b.peering(in.backendName()).Reliable.extensions()}); fault != nil {
		if in.req.Method == sip.REGISTER {
			b.counters.register(registerRejected)
		}
		b.respond(in.tx, refusedFor(fault))
		return
	}
	if in.tx.Looped() {
		b.respond(in.tx, reply{status: 482, why: "our own request has come back"})
		return
	}
	if in.req.Method == sip.CANCEL {
		b.serveCancel(in)
		return
	}
	if key, ok := dialogKeyOf(in.req); ok && in.req.Method != sip.REGISTER {
		b.serveInDialog(key, in)
		return
	}
	if r, kept := b.keptOut(in); kept {
		b.respond(in.tx, r)
		return
	}
	if in.req.Method == sip.REGISTER {
		b.serveRegister(in)
		return
	}
	if b.challenged(in) {
		return
	}
	in = b.heard(b.unproven(in))
	switch in.req.Method {
	case sip.ACK: // of nothing that we know; an ACK takes no response
	case sip.INVITE:
		b.serveInvite(in)
	case sip.OPTIONS:
		b.serveOptions(in)
	case sip.MESSAGE, sip.SUBSCRIBE, sip.PUBLISH, sip.NOTIFY:
		b.serveErrand(in)
	case sip.BYE, sip.INFO, sip.UPDATE, sip.PRACK, sip.REFER:
		b.respond(in.tx, reply{status: 481, why: "outside a dialog"})
	default:
		b.respond(in.tx, notAllowed(in.req.Method))
	}
}

func (b *Bridge) serveCancel(in inbound) {
	invite := in.tx.Cancels()
	if invite == nil {
		b.respond(in.tx, reply{status: 481, why: "no such INVITE transaction"})
		return
	}
	if _, waits := b.waiting.LoadAndDelete(invite); waits { // for the verdict on its credentials
		b.respond(in.tx, reply{status: 200})
		b.respond(invite, reply{status: 487})
		return
	}
	c := b.calls.byInvite(invite)
	if c == nil { // answered already, or a re-INVITE: nothing to undo (RFC 3261 §9.2)
		b.respond(in.tx, reply{status: 200})
		return
	}
	b.respond(in.tx, reply{status: 200, tag: c.tag})
	reason := reasonsOf(in.req)
	c.post("cancel", func() { c.onCancel(reason) })
}

func (b *Bridge) serveInDialog(key dialogKey, in inbound) {
	if s, from := b.subscriptions.find(key); s != nil {
		s.serve(from, in)
		return
	}
	l := b.calls.dialog(key)
	if l == nil || !l.hand(event{name: string(in.req.Method), lent: in.tx.Lent(), do: func() { l.call.onRequest(l, in) }}) {
		b.respond(in.tx, reply{status: 481})
	}
}

// serveOptions answers for ourselves, and to a backend that asks about a browser's Contact (a qualifying registrar does) for the
// browser: whether its connection is there.
func (b *Bridge) serveOptions(in inbound) {
	if bound, known := b.with.Store.ByToken(in.req.Recipient.User); known && in.backend != nil && !bound.Behind && bound.Flow == "" {
		b.respond(in.tx, reply{status: 480, why: "the browser's connection is gone"})
		return
	}
	if b.draining.Load() {
		b.respond(in.tx, reply{status: 503, why: noNewCalls, headers: []sip.Header{retryAfter()}})
		return
	}
	b.respond(in.tx, reply{status: 200, headers: capabilities(b.peering(in.backendName()).Reliable)})
}

// capabilities are the headers of a 200 to OPTIONS (RFC 3261 §11.2), towards a peer.
func capabilities(how Reliable) []sip.Header {
	return []sip.Header{allow, acceptsSDP, supports[how != ReliableOff]}
}

// The headers of capabilities. Nobody can change them.
var (
	allow      = sip.NewHeader("Allow", allowed)
	acceptsSDP = sip.NewHeader("Accept", "application/sdp")
	supports   = map[bool]sip.Header{false: sip.NewHeader("Supported", ReliableOff.extensions()), true: sip.NewHeader("Supported", ReliableAuto.extensions())}
)

// refusedFor is the answer to a request with a fault.
func refusedFor(f *transaction.Fault) reply {
	r := reply{status: f.Status, why: f.Why, headers: f.Headers}
	if f.Status == 501 { // RFC 3261 §8.2.1: what would have been served
		r.headers = []sip.Header{sip.NewHeader("Allow", allowed)}
	}
	return r
}

func notAllowed(method sip.RequestMethod) reply {
	return reply{
		status:  405,
		why:     string(method) + " is not served here",
		headers: []sip.Header{sip.NewHeader("Allow", allowed)},
	}
}

// BrowserGone tells the calls on a connection that it is lost.
func (b *Bridge) BrowserGone(c *wss.Conn) {
	flow := c.Flow()
	for _, call := range b.calls.onFlow(flow) {
		call.post("flow-gone", func() { call.onFlowGone(flow) })
	}
	b.subscriptions.gone(flow)
	b.registrationsGone(c)
	b.subjects.forget(c)
}

// BrowserIdle implements wss.Handler: a connection over which nobody registered may stay for its calls and subscriptions.
func (b *Bridge) BrowserIdle(c *wss.Conn) (stays bool) {
	return len(b.calls.onFlow(c.Flow())) > 0 || len(b.subscriptions.onFlow(c.Flow())) > 0
}

// flowMoved is called when a registrar accepted a REGISTER for an address of record over newFlow; the running dialogs of that
// address of record on oldFlow move (RFC 5626 §5.3), and no others.
func (b *Bridge) flowMoved(aor, oldFlow, newFlow string) {
	if oldFlow == newFlow || oldFlow == "" {
		return
	}
	b.subscriptions.moved(aor, oldFlow, newFlow)
	b.sayLateByes(aor, oldFlow, newFlow)
	for _, call := range b.calls.onFlow(oldFlow) {
		call.post("flow-moved", func() { call.onFlowMoved(aor, oldFlow, newFlow) })
	}
}

func headerValue(msg interface{ Headers() []sip.Header }, name string) string {
	if h := transaction.First(msg, name); h != nil {
		return h.Value()
	}
	return ""
}
