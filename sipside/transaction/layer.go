package transaction

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Layer holds the transactions of one door.
type Layer struct {
	// static after construction
	cfg    Config
	tables tables

	trying, first, briefly wait // 200 ms, T1, T4
	// 64·T1: for what the peer or the user owes, mostly stopped soon; and to absorb repetitions, which would keep those in the queue
	answer, long wait

	counters counters
	scratch  sync.Pool // of *[]byte: messages are written there, and kept as long as they are

	mu sync.Mutex
	// guarded by mu; never held while a transaction's own lock is taken, a message is sent or a user is called
	clients map[clientKey]*Client
	servers map[serverKey]*serving
	flows   map[string]*core // by Flow.Identity, the first of those on the flow
}

type counters struct {
	retransmissions, absorbed, timeouts, flowErrors, strays, unacked atomic.Uint64
}

// New opens a layer without traffic.
func New(cfg Config) *Layer {
	setDefault(&cfg.T1, 500*time.Millisecond)
	setDefault(&cfg.T2, 4*time.Second)
	setDefault(&cfg.T4, 5*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Layer{
		cfg:     cfg,
		tables:  newTables(),
		trying:  wait{length: tryingAfter, grain: tryingAfter / 4},
		first:   wait{length: cfg.T1, grain: cfg.T1 / 5},
		briefly: wait{length: cfg.T4, grain: cfg.T1},
		answer:  wait{length: 64 * cfg.T1, grain: cfg.T1},
		long:    wait{length: 64 * cfg.T1, grain: cfg.T1},
		clients: make(map[clientKey]*Client),
		servers: make(map[serverKey]*serving),
		scratch: sync.Pool{New: func() any { return new([]byte) }},
		flows:   make(map[string]*core),
	}
}

// write gives a message's wire form.
func (l *Layer) write(msg Message) []byte {
	buf := l.scratch.Get().(*[]byte)
	defer l.scratch.Put(buf)
	*buf = AppendNamed((*buf)[:0], msg, l.cfg.Product)
	return bytes.Clone(*buf)
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Receive gives a parsed message that came over flow to its transaction, or a new request to serve.
// A message without the headers that Parse demands is dropped as a stray.
func (l *Layer) Receive(msg Message, flow Flow, serve Handler) {
	if msg.Message == nil || msg.Via() == nil || msg.CSeq() == nil || msg.CallID() == nil {
		l.counters.strays.Add(1)
		return
	}
	switch m := msg.Message.(type) {
	case *sip.Response:
		l.receiveResponse(m, msg.Lent)
	case *sip.Request:
		if m.Method == sip.ACK {
			l.receiveAck(msg, m, flow, serve)
		} else {
			l.receiveRequest(msg, m, flow, serve)
		}
	}
}

func (l *Layer) receiveResponse(res *sip.Response, lent bool) {
	l.mu.Lock()
	c := l.clients[responseKey(res)]
	l.mu.Unlock()
	// A second Via would mean that the response is another element's (RFC 3261 §8.1.3.3).
	if c == nil || severalVias(res) || !c.respond(res, lent) {
		l.counters.strays.Add(1)
	}
}

func severalVias(res *sip.Response) bool {
	return slices.ContainsFunc(res.Headers(), func(h sip.Header) bool {
		via, ok := h.(*sip.ViaHeader)
		return ok && via != res.Via()
	})
}

func (l *Layer) receiveRequest(msg Message, req *sip.Request, flow Flow, serve Handler) {
	key := requestKey(msg, req, flow)
	l.mu.Lock()
	if known := l.servers[key]; known != nil {
		l.mu.Unlock()
		known.repeated()
		return
	}
	key = key.kept()
	s := l.newServer(key, msg, req, flow)
	var invite *serving
	if req.Method == sip.CANCEL {
		invite = l.servers[key.invite()]
	}
	s.looped = l.isOurs(msg, req)
	l.servers[key] = s.serving
	l.join(flow, &s.core)
	l.mu.Unlock()
	if invite != nil {
		s.cancels = invite.asServer()
	}
	s.begin()
	l.serve(s, serve)
}

// isOurs finds a running request of ours by a lower Via. Called with mu held.
func (l *Layer) isOurs(msg Message, req *sip.Request) bool {
	for _, h := range req.Headers() {
		via, ok := h.(*sip.ViaHeader)
		if !ok || via == req.Via() {
			continue
		}
		if c := l.clients[clientKey{branch: via.Params.GetOr("branch", ""), method: req.Method}]; c != nil && c.asks(msg.RequestURI) {
			return true
		}
	}
	return false
}

// receiveAck gives an ACK to the INVITE that it belongs to; the ACK of a 2xx belongs to the call.
func (l *Layer) receiveAck(msg Message, req *sip.Request, flow Flow, serve Handler) {
	key := requestKey(msg, req, flow)
	l.mu.Lock()
	invite := l.servers[key]
	l.mu.Unlock()
	if invite != nil && invite.matchesAck(req) && invite.ack() {
		return
	}
	s := l.newServer(key, msg, req, flow)
	l.serve(s, serve)
}

// serve calls the handler; its panic costs this request only.
func (l *Layer) serve(s *Server, serve Handler) {
	defer func() {
		if p := recover(); p != nil {
			l.cfg.Log.Error("transaction handler panicked", "method", s.req.Method, "panic", p, "stack", string(debug.Stack()))
			// Refused where the user already gave a final response or for an ACK: then nothing is owed.
			_ = s.Respond(NewResponse(s.req, sip.StatusInternalServerError, "Server Internal Error"))
		}
	}()
	serve(s)
}

// FlowLost ends the transactions on a flow: clients get ErrFlowLost.
func (l *Layer) FlowLost(flow Flow) {
	var list []machine
	l.mu.Lock()
	for c := l.flows[flow.Identity()]; c != nil; c = c.next {
		list = append(list, c.machine)
	}
	l.mu.Unlock()
	for _, m := range list {
		m.flowLost(ErrFlowLost)
	}
}

// Request starts a client transaction. The request carries its top Via with a branch already; it is written at once, so that the
// caller may go on to use it, but the values of its headers stay as they are: CANCEL and the ACK of a refusal are made from them. An
// error means that it could not be a transaction at all (no branch, no CSeq, an ACK, a branch that is in use); a write that fails
// arrives as an Event with ErrFlowLost.
// on is called in order, from one goroutine at a time, never on the goroutine of Receive unless out is Prompt, and not before Request
// is done; it may call every method. What it shares with the caller of Request, the *Client included, is theirs to guard.
func (l *Layer) Request(out Outbound, flow Flow, on func(Event)) (*Client, error) {
	key, err := outboundKey(out)
	if err != nil {
		return nil, err
	}
	c := l.newClient(key, out, flow, on)
	l.mu.Lock()
	if l.clients[key] != nil {
		l.mu.Unlock()
		return nil, fmt.Errorf("transaction: branch %q is in use", key.branch)
	}
	l.clients[key] = c
	l.join(flow, &c.core)
	l.mu.Unlock()
	c.begin()
	return c, nil
}

func outboundKey(out Outbound) (clientKey, error) {
	if out.Request == nil {
		return clientKey{}, errors.New("transaction: no request")
	}
	if out.Method == sip.ACK {
		return clientKey{}, errors.New("transaction: an ACK is no transaction of its own")
	}
	via, cseq := out.Via(), out.CSeq()
	if via == nil || cseq == nil || out.From() == nil || out.To() == nil || out.CallID() == nil {
		return clientKey{}, errors.New("transaction: a request needs Via, From, To, Call-ID and CSeq")
	}
	branch := via.Params.GetOr("branch", "")
	if branch == "" {
		return clientKey{}, errors.New("transaction: the top Via has no branch")
	}
	if cseq.MethodName != out.Method {
		return clientKey{}, fmt.Errorf("transaction: CSeq says %s in a %s", cseq.MethodName, out.Method)
	}
	return clientKey{branch: branch, method: out.Method}, nil
}

// join notes a transaction under its flow. Called with mu held.
func (l *Layer) join(flow Flow, c *core) {
	id := flow.Identity()
	first := l.flows[id]
	if first != nil {
		first.previous = c
	}
	c.next = first
	l.flows[id] = c
}

// leave forgets a transaction under its flow. Called with mu held.
func (l *Layer) leave(flow Flow, c *core) {
	if c.next != nil {
		c.next.previous = c.previous
	}
	switch {
	case c.previous != nil:
		c.previous.next = c.next
	case c.next != nil:
		l.flows[flow.Identity()] = c.next
	default:
		delete(l.flows, flow.Identity())
	}
	c.next, c.previous = nil, nil
}

// Stats is a snapshot of the layer's figures.
type Stats struct {
	Clients, Servers             int    // running now
	Retransmissions              uint64 // sent by timers A, E, G
	Absorbed                     uint64 // retransmissions of the peer answered or dropped by a machine
	Timeouts, FlowErrors, Strays uint64 // FlowErrors: failed writes; Strays: responses that match no transaction
	Unacked                      uint64 // refusals of an INVITE that no ACK came for (timer H)
}

// Stats may be called at any time.
func (l *Layer) Stats() Stats {
	l.mu.Lock()
	clients, servers := len(l.clients), len(l.servers)
	l.mu.Unlock()
	return Stats{
		Clients: clients, Servers: servers,
		Retransmissions: l.counters.retransmissions.Load(),
		Absorbed:        l.counters.absorbed.Load(),
		Timeouts:        l.counters.timeouts.Load(),
		FlowErrors:      l.counters.flowErrors.Load(),
		Strays:          l.counters.strays.Load(),
		Unacked:         l.counters.unacked.Load(),
	}
}
