package sipside

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// maxUDPRequest is RFC 3261 §18.1.1's limit where the path's MTU is not known.
const maxUDPRequest = 1300

// errNoListener is a next hop that no listener can reach: a UDP request leaves by a listener's socket.
var errNoListener = errors.New("sipside: sip.listen has no udp listener of that address family")

// passage is a request ready to go: its Via is in place and its flow chosen.
type passage struct {
	out  transaction.Outbound
	flow transaction.Flow
}

// start lets a flow that is not decided yet begin to decide; the transaction must be under way.
func (p passage) start() error {
	if d, ok := p.flow.(*deferred); ok {
		return d.start()
	}
	return nil
}

// passageFor finds the next hop of a backend's request, adds the Via and chooses the flow. The caller's request is not
// touched.
func (e *Endpoints) passageFor(b *Backend, out transaction.Outbound) (passage, error) {
	if out.Request == nil {
		return passage{}, errors.New("sipside: no request")
	}
	via := newVia()
	out.Top = via
	out, hop, err := nextHop(out, b.uri)
	if err != nil {
		return passage{}, fmt.Errorf("sipside: next hop: %w", err)
	}
	if topRoute(out.Request) == nil && hop.astray(b.located()) {
		hop = b.target
	}
	places, known := e.placesOf(hop)
	if len(b.more) > 0 && hop == b.target && !inDialog(out.Request) { // a dialog is with one of them
		places = b.located()
		known = len(places) > 0
	}
	places = e.silences.last(places)
	if known {
		hop.transport = places[0].transport
	}
	if hop.transport != udp { // a connection is offered for the peer's own requests (RFC 5923 §5)
		via.Params = append(via.Params, sip.HeaderKV{K: "alias"})
	}
	e.address(via, hop.transport, firstAddr(places))
	out.Wire = e.wire(out)
	learn := hop.host != b.target.host
	for _, p := range places {
		if learn {
			e.sources.learn(p.addr.Addr(), b)
		}
	}
	large, single := hop.transport == udp && len(out.Wire) > maxUDPRequest, known && len(places) == 1
	if single {
		if flow, err := e.directly(b, hop, places[0], large); flow != nil || err != nil {
			return passage{out, flow}, err
		}
	}
	if large { // RFC 3261 §18.1.1: by TCP, and by UDP where that does not connect
		e.address(via, tcp, firstAddr(places))
		out.Wire = e.wire(out)
		if single {
			if c := e.established(connKey{transport: tcp, addr: places[0].addr}); c != nil {
				return passage{out, c}, nil
			}
		}
	}
	d := e.newDeferred(b, hop, places, learn)
	d.large, d.written = large, sentBy(via)
	return passage{out, d}, nil
}

// directly is the flow to a target's only server; nil where it has to be found out whether TCP connects.
func (e *Endpoints) directly(b *Backend, hop target, p place, large bool) (transaction.Flow, error) {
	if p.transport != udp {
		return e.to(b.connKeyOf(p, hop.host))
	}
	if large && !e.refusals.recent(p.addr) {
		return nil, nil
	}
	u, err := e.udpFor(p.addr.Addr())
	if err != nil {
		return nil, err
	}
	return u.flow(p.addr), nil
}

func firstAddr(places []place) netip.Addr {
	if len(places) == 0 {
		return netip.Addr{}
	}
	return places[0].addr.Addr()
}

func (e *Endpoints) newDeferred(b *Backend, hop target, places []place, learn bool) *deferred {
	id := "deferred#" + strconv.FormatUint(e.connections.serial.Add(1), 10)
	return &deferred{e: e, id: id, hop: hop, places: places, backend: b, learn: learn}
}

// shallowCopy is a request of our own with the caller's header values: only the list of headers changes here.
func shallowCopy(req *sip.Request) *sip.Request {
	out := sip.NewRequest(req.Method, req.Recipient)
	for _, h := range req.Headers() {
		out.AppendHeader(h)
	}
	out.SetBody(req.Body())
	return out
}

// newVia is the Via of a request but for where it is sent from, with a branch that nobody can guess: a response is matched by it.
func newVia() *sip.ViaHeader {
	v := new(struct {
		sip.ViaHeader
		params [2]sip.HeaderKV
	})
	v.params = [...]sip.HeaderKV{{K: "branch", V: sip.RFC3261BranchMagicCookie + rand.Text()}, {K: "rport"}}
	v.ProtocolName, v.ProtocolVersion, v.Params = "SIP", "2.0", v.params[:]
	return &v.ViaHeader
}

// address sets transport and sent-by of a Via towards a peer.
func (e *Endpoints) address(via *sip.ViaHeader, t transport, peer netip.Addr) {
	via.Transport = string(t)
	via.Host, via.Port = e.ourAddress(t, peer)
}

// sentBy is how a Via begins on the wire.
func sentBy(via *sip.ViaHeader) []byte {
	text, _, _ := strings.Cut(via.Value(), ";")
	return []byte(text + ";")
}

// ourAddress is host and port under which a peer reaches us by a transport; without a listener for it the port is 0,
// which means the default port.
func (e *Endpoints) ourAddress(t transport, peer netip.Addr) (string, int) {
	l := e.listenerFor(t, peer)
	if l == nil {
		return e.hostFor(e.listenerFor("", peer)), 0
	}
	return e.hostFor(l), int(l.addr().Port())
}

func (e *Endpoints) hostFor(l listener) string {
	if e.advertise != "" {
		return e.advertise
	}
	return l.host()
}

// listenerFor chooses the listener for a peer: of the transport ("" for any), of the peer's address family where there is
// one, and on loopback if the peer is. nil where none has the transport.
func (e *Endpoints) listenerFor(t transport, peer netip.Addr) listener {
	var best listener
	score := -1
	for _, l := range e.listeners {
		if t != "" && l.serves() != t {
			continue
		}
		mine := 0
		ours := l.addr().Addr()
		if peer.IsValid() && ours.Is4() == peer.Is4() {
			mine += 2
		}
		if peer.IsValid() && (ours.IsLoopback() == peer.IsLoopback() || ours.IsUnspecified()) {
			mine++
		}
		if mine > score {
			best, score = l, mine
		}
	}
	return best
}

// udpFor gives the socket for a peer; it must be of its address family.
func (e *Endpoints) udpFor(peer netip.Addr) (*udpListener, error) {
	u, ok := e.listenerFor(udp, peer).(*udpListener)
	if !ok || u.local.Addr().Is4() != peer.Is4() {
		return nil, fmt.Errorf("send to %s: %w", peer, errNoListener)
	}
	return u, nil
}

// placesOf gives a target's servers if that needs no waiting, in the order in which to try them.
func (e *Endpoints) placesOf(t target) ([]place, bool) {
	if addr, ok := t.literal(); ok {
		return []place{{transport: t.transport, addr: addr}}, true
	}
	return e.names.cached(t)
}

// wire writes a request.
func (e *Endpoints) wire(out transaction.Outbound) []byte {
	buf := e.scratch.Get().(*[]byte)
	defer e.scratch.Put(buf)
	*buf = transaction.AppendNamed((*buf)[:0], out.Message(), e.product)
	return bytes.Clone(*buf)
}

func newScratch() *sync.Pool {
	return &sync.Pool{New: func() any { return new([]byte) }}
}

// callID finds the Call-ID in a message's bytes, for the trace.
func callID(data []byte) string {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if ok && (bytes.EqualFold(name, []byte("Call-ID")) || bytes.EqualFold(name, []byte("i"))) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
