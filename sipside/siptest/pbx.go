package siptest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// PBXConfig configures a PBX.
type PBXConfig struct {
	Listen  netip.AddrPort    // UDP and TCP; default 127.0.0.1:0
	AnyUser bool              // any user may register and call, without a password
	Users   map[string]string // user → password; challenged by digest (MD5, qop auth)
	Realm   string            // default "siptest"
	RTPAddr netip.Addr        // default: that of Listen
	Direct  bool              // media of calls between users goes directly between them; else the PBX relays it
	// Times of the extensions; zero values are those in brackets.
	RingTime   time.Duration // 603: until it answers (5 s)
	EarlyTime  time.Duration // 604: until it answers (5 s)
	HangupTime time.Duration // 606: until it hangs up (3 s)
	Timers     transaction.Config
	Trace      transaction.Trace
	Log        *slog.Logger
}

// PBX is a small telephone exchange: registrar, extensions, and calls between its users, all of whose phones ring at once.
//
//	600 echoes, any codec          604 a tone before it answers (183), then echoes    607 486 Busy Here
//	601 a tone of 1004 Hz          605 reads four digits and plays them back          608 503 Service Unavailable
//	603 rings, then echoes         606 echoes and hangs up after a while              609 rings for ever
type PBX struct {
	// static after construction
	cfg    PBXConfig
	agent  *Agent
	nonces *nonces
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup

	registers, invites, answered atomic.Uint64

	mu sync.Mutex
	// guarded by mu
	bindings map[string][]binding           // by user
	parties  map[string]party               // by Call-ID and our tag: dialogs, early ones too
	ringing  map[*transaction.Server]func() // what the CANCEL of an INVITE does
	calls    int
}

// party is who takes the requests within a dialog; it must not block.
type party interface{ serve(in *Incoming) }

// NewPBX opens the sockets and serves.
func NewPBX(cfg PBXConfig) (*PBX, error) {
	if cfg.Realm == "" {
		cfg.Realm = "siptest"
	}
	for d, value := range map[*time.Duration]time.Duration{&cfg.RingTime: 5 * time.Second, &cfg.EarlyTime: 5 * time.Second, &cfg.HangupTime: 3 * time.Second} {
		if *d <= 0 {
			*d = value
		}
	}
	cfg.Users = maps.Clone(cfg.Users)
	ctx, stop := context.WithCancel(context.Background())
	p := &PBX{
		cfg: cfg, nonces: newNonces(), ctx: ctx, stop: stop,
		bindings: make(map[string][]binding), parties: make(map[string]party), ringing: make(map[*transaction.Server]func()),
	}
	ready := make(chan struct{})
	agent, err := NewAgent(AgentConfig{
		User: "pbx", Listen: cfg.Listen, Timers: cfg.Timers, Trace: cfg.Trace, Log: cfg.Log,
		Handler: func(in *Incoming) bool { <-ready; p.serve(in); return true },
	})
	if err != nil {
		stop()
		return nil, err
	}
	p.agent = agent
	if !p.cfg.RTPAddr.IsValid() {
		p.cfg.RTPAddr = agent.Addr().Addr()
	}
	close(ready)
	return p, nil
}

// Addr is the address of both sockets, UDP and TCP.
func (p *PBX) Addr() netip.AddrPort { return p.agent.Addr() }

// Ladder is everything that crossed the PBX's sockets, drawn; for the message of a failing test.
func (p *PBX) Ladder() string { return p.agent.Ladder() }

// Close hangs up nothing and closes everything, as a power cut would; another PBX may listen on the same port afterwards.
// Safe to call twice.
func (p *PBX) Close() error {
	p.stop()
	err := p.agent.Close()
	p.wg.Wait()
	return err
}

// PBXStats are a PBX's figures.
type PBXStats struct {
	Calls, Bindings              int // now
	Registers, Invites, Answered uint64
	Transactions                 transaction.Stats
}

// Stats may be called at any time.
func (p *PBX) Stats() PBXStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PBXStats{
		Calls: p.calls, Registers: p.registers.Load(), Invites: p.invites.Load(), Answered: p.answered.Load(),
		Transactions: p.agent.TransactionStats(),
	}
	for user := range p.bindings {
		s.Bindings += len(p.current(user))
	}
	return s
}

// serve takes each new request.
func (p *PBX) serve(in *Incoming) {
	req := in.Request()
	switch {
	case req.Method == sip.CANCEL:
		p.cancel(in)
	case req.To().Params.Has("tag"):
		p.mu.Lock()
		party := p.parties[dialogKey(req.CallID().Value(), in.tag)]
		p.mu.Unlock()
		if party == nil {
			p.respond(in, Reply{Status: sip.StatusCallTransactionDoesNotExists})
			return
		}
		party.serve(in)
	case req.Method == sip.REGISTER:
		p.register(in)
	case req.Method == sip.INVITE:
		p.invite(in)
	case req.Method == sip.OPTIONS:
		p.respond(in, Reply{Status: sip.StatusOK, Headers: []sip.Header{allow(), sip.NewHeader("Accept", "application/sdp")}})
	default:
		p.respond(in, Reply{Status: sip.StatusMethodNotAllowed, Headers: []sip.Header{allow()}})
	}
}

func allow() sip.Header {
	return sip.NewHeader("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, MESSAGE")
}

func dialogKey(callID, tag string) string { return callID + " " + tag }

func (p *PBX) respond(in *Incoming, r Reply) {
	if err := in.Respond(r); err != nil && p.ctx.Err() == nil {
		p.agent.log.Warn("siptest: response not sent", "call", in.Request().CallID().Value(), "status", r.Status, "error", err)
	}
}

// cancel answers a CANCEL, and has the call end that it means (RFC 3261 §9.2).
func (p *PBX) cancel(in *Incoming) {
	p.mu.Lock()
	end := p.ringing[in.Cancels()]
	p.mu.Unlock()
	if in.Cancels() == nil {
		p.respond(in, Reply{Status: sip.StatusCallTransactionDoesNotExists})
		return
	}
	p.respond(in, Reply{Status: sip.StatusOK})
	if end != nil {
		end()
	}
}

// invite begins a call.
func (p *PBX) invite(in *Incoming) {
	p.invites.Add(1)
	req := in.Request()
	if !p.admitted(in, req.From().Address.User) {
		return
	}
	user := req.Recipient.User
	play := extension(user)
	if play == nil && p.cfg.Users[user] == "" && len(p.Contacts(user)) == 0 {
		p.respond(in, Reply{Status: sip.StatusNotFound})
		return
	}
	ctx, end := context.WithCancel(p.ctx)
	p.mu.Lock()
	p.ringing[in.Server] = end
	p.calls++
	p.mu.Unlock()
	p.wg.Go(func() {
		defer func() {
			end()
			p.mu.Lock()
			p.calls--
			p.mu.Unlock()
		}()
		if play != nil {
			p.exten(ctx, end, in, play)
		} else {
			p.connect(ctx, in, user)
		}
	})
}

// settled forgets what a CANCEL would do: the INVITE has its final response.
func (p *PBX) settled(in *Incoming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ringing, in.Server)
}

// enter makes a party the one that takes the requests within a dialog, and gives the way out.
func (p *PBX) enter(callID, tag string, who party) (leave func()) {
	key := dialogKey(callID, tag)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parties[key] = who
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.parties, key)
	}
}

// refuse gives the final response of an INVITE that was not answered.
func (p *PBX) refuse(in *Incoming, status int, reason string) {
	p.settled(in)
	p.respond(in, Reply{Status: status, Reason: reason})
}

// bye ends a dialog from the PBX's side.
func (p *PBX) bye(d *Dialog, headers ...sip.Header) {
	ctx, stop := context.WithTimeout(p.ctx, 64*p.agent.timers.T1)
	defer stop()
	if err := d.Bye(ctx, headers...); err != nil && p.ctx.Err() == nil {
		p.agent.log.Warn("siptest: BYE failed", "call", d.CallID(), "error", err)
	}
}

func (p *PBX) String() string { return fmt.Sprintf("PBX at %s", p.Addr()) }
