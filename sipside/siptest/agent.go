package siptest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// AgentConfig configures an Agent; its zero value is good for a test.
type AgentConfig struct {
	User   string         // user part of Contact and From; default "agent"
	Listen netip.AddrPort // UDP and TCP; default 127.0.0.1:0
	// Handler, where set, sees each new request first (CANCEL too; an ACK is the agent's own business); what it returns
	// false for waits for Expect. It must not block.
	Handler func(*Incoming) bool
	Timers  transaction.Config
	Trace   transaction.Trace
	Log     *slog.Logger
}

// Agent is a SIP user agent under script. Safe for concurrent use.
type Agent struct {
	// static after construction
	*endpoint
	user    string
	handler func(*Incoming) bool
	timers  transaction.Config
	ladder  *ladder

	mu sync.Mutex
	// guarded by mu
	queue   []*Incoming
	changed chan struct{}               // closed and replaced with each queued request
	acks    map[string]chan<- *Incoming // by dialog and CSeq: who waits for an ACK
}

// NewAgent opens the sockets and serves.
func NewAgent(cfg AgentConfig) (*Agent, error) {
	e, err := openEndpoint(cfg.Listen, cfg.Timers, cfg.Log)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		endpoint: e, user: cfg.User, handler: cfg.Handler, timers: cfg.Timers, ladder: &ladder{start: time.Now()},
		changed: make(chan struct{}), acks: make(map[string]chan<- *Incoming),
	}
	if a.user == "" {
		a.user = "agent"
	}
	if a.timers.T1 <= 0 {
		a.timers.T1 = 500 * time.Millisecond
	}
	if a.timers.T2 <= 0 {
		a.timers.T2 = 4 * time.Second
	}
	e.start(a.serveTransaction, func(m transaction.Traced) {
		a.ladder.trace(m)
		if cfg.Trace != nil {
			cfg.Trace(m)
		}
	})
	return a, nil
}

// Close closes the sockets; safe to call twice.
func (a *Agent) Close() error { return a.endpoint.close() }

// Addr is the address of both sockets, UDP and TCP.
func (a *Agent) Addr() netip.AddrPort { return a.addr }

// URI is the agent's address for others to call, transport "udp" (or "") or "tcp".
func (a *Agent) URI(transport string) sip.Uri {
	uri := sip.Uri{Scheme: "sip", User: a.user, Host: a.addr.Addr().String(), Port: int(a.addr.Port())}
	if transport == "tcp" {
		uri.UriParams.Add("transport", "tcp")
	}
	return uri
}

// Ladder is everything that crossed the agent's sockets, drawn; for the message of a failing test.
func (a *Agent) Ladder() string { return a.ladder.String() }

// TransactionStats are the figures of the agent's transactions.
func (a *Agent) TransactionStats() transaction.Stats { return a.layer.Stats() }

// Expect waits for the next request with this method that nobody took yet; others stay queued.
func (a *Agent) Expect(ctx context.Context, method sip.RequestMethod) (*Incoming, error) {
	return a.expect(ctx, string(method), func(in *Incoming) bool { return in.Request().Method == method })
}

func (a *Agent) expect(ctx context.Context, what string, match func(*Incoming) bool) (*Incoming, error) {
	for {
		a.mu.Lock()
		if i := slices.IndexFunc(a.queue, match); i >= 0 {
			in := a.queue[i]
			a.queue = slices.Delete(a.queue, i, i+1)
			a.mu.Unlock()
			return in, nil
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("siptest: no %s came: %w\n%s", what, ctx.Err(), a.Ladder())
		}
	}
}

// serveTransaction takes each new request of the endpoint.
func (a *Agent) serveTransaction(tx *transaction.Server) {
	in := a.incoming(tx)
	if in.Request().Method == sip.ACK {
		a.acknowledged(in)
		return
	}
	if a.handler != nil && a.handler(in) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, in)
	close(a.changed)
	a.changed = make(chan struct{})
}

// acknowledged gives an ACK to the Accept that waits for it; a repeated one is nobody's.
func (a *Agent) acknowledged(in *Incoming) {
	req := in.Request()
	a.mu.Lock()
	waiting := a.acks[ackKey(req, in.tag)]
	a.mu.Unlock()
	select {
	case waiting <- in:
	default:
	}
}

func ackKey(req *sip.Request, localTag string) string {
	return fmt.Sprintf("%s %s %d", req.CallID().Value(), localTag, req.CSeq().SeqNo)
}
