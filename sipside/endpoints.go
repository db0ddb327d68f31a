package sipside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tandem/sipside/transaction"
)

// Endpoints are the open listeners with the pools behind them.
type Endpoints struct {
	// static after Open
	listeners []listener
	advertise string
	dscp      int
	clientTLS *tls.Config
	layer     *transaction.Layer
	guard     Guard
	trace     transaction.Trace
	log       *slog.Logger
	limits    limits
	scratch   *sync.Pool
	product   string // see transaction.Config

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	serving chan struct{} // closed by Serve, after which Backend.serve may be called
	leaving chan struct{} // closed by Unregister

	members   atomic.Pointer[roster]
	handler   atomic.Pointer[Handler] // set by Serve before anything is read
	reloading sync.Mutex              // held while members changes

	names       names
	sources     sources
	connections connections
	refusals    refusals // of TCP, by servers of UDP
	silences    refusals // of everything

	messagesIn, messagesOut, rejected, strangers atomic.Uint64

	mu      sync.Mutex
	served  bool           // guarded by mu
	closed  bool           // guarded by mu
	running sync.WaitGroup // Add under mu while not closed
}

// listener is one open listener.
type listener interface {
	addr() netip.AddrPort
	host() string // the address's, as text
	serves() transport
	serve() error // until close
	close() error
}

// limits bound what a peer can cost. Production uses defaultLimits; tests shorten the times.
type limits struct {
	head, body int           // bytes of a message on a stream
	queue      int           // messages waiting to be written to a connection
	dial       time.Duration // to connect, TLS included; also an incoming TLS handshake
	switchover time.Duration // how long a large request waits for TCP before it takes UDP
	write      time.Duration // for one message
	unacked    time.Duration // sent on a connection, and its peer's system does not say that it came: 64·T1, no transaction waits longer
	message    time.Duration // from a message's first byte to its last
	idle       time.Duration // a connection without a message
	keepalive  time.Duration // between double CRLFs on a connection that we opened (RFC 5626 §3.5.1)
	linger     time.Duration // to read a last answer
	lookUp     time.Duration // one DNS look-up
	names      time.Duration // how long an answer of it is fresh
}

func defaultLimits() limits {
	return limits{
		head: 32 << 10, body: 60 << 10, queue: 256,
		dial: 5 * time.Second, switchover: 500 * time.Millisecond, write: 5 * time.Second, unacked: 32 * time.Second,
		message: 10 * time.Second, idle: 10 * time.Minute, keepalive: 100 * time.Second, linger: time.Second,
		lookUp: 2 * time.Second, names: 30 * time.Second,
	}
}

// Open opens the listeners and looks the members' names up; on an error what was opened is closed. A name that has no
// address yet is no error: it is asked for again.
func Open(cfg Config) (*Endpoints, error) { return open(cfg, defaultLimits()) }

func open(cfg Config, lim limits) (*Endpoints, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := newEndpoints(cfg, lim)
	for i, l := range cfg.Listen {
		opened, err := e.openListener(l)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sip.listen[%d]: %w", i, err), e.Close())
		}
		e.listeners = append(e.listeners, opened)
	}
	d, fresh := e.compose(cfg, &roster{})
	e.resolve(fresh)
	e.publish(d)
	return e, nil
}

func newEndpoints(cfg Config, lim limits) *Endpoints {
	e := &Endpoints{
		advertise: strings.Trim(cfg.Advertise, "[]"), clientTLS: cfg.ClientTLS, dscp: cfg.dscp(),
		guard: cfg.Guard, trace: cfg.Trace, log: cfg.Log, limits: lim, scratch: newScratch(), product: cfg.Timers.Product,
		serving: make(chan struct{}), leaving: make(chan struct{}),
	}
	if e.guard == nil {
		e.guard = silent{}
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	timers := cfg.Timers
	if timers.Log == nil {
		timers.Log = e.log
	}
	e.layer = transaction.New(timers)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.connections.dialled = map[connKey]*conn{}
	e.connections.all = map[*conn]struct{}{}
	e.connections.perPeer = map[netip.Addr]int{}
	e.refusals.life, e.refusals.until = refusalLife, map[netip.AddrPort]time.Time{}
	e.silences.life, e.silences.until = silenceLife, map[netip.AddrPort]time.Time{}
	e.sources.hops = map[netip.Addr]hop{}
	resolver := cfg.Resolver
	var servers nameServers
	if resolver == nil {
		resolver, servers = net.DefaultResolver, newNameServers(cfg.DNS)
	}
	e.names = names{
		resolver: resolver, servers: servers, usable: e.reaches, timeout: lim.lookUp, ttl: lim.names,
		spawn: e.spawn, ctx: e.ctx, known: map[target]*answer{},
	}
	return e
}

func (e *Endpoints) openListener(l Listen) (listener, error) {
	addr := netip.AddrPortFrom(l.Addr.Addr().Unmap(), l.Addr.Port())
	t := transport(strings.ToUpper(l.Network))
	if t == udp {
		return openUDP(e, addr)
	}
	return openStream(e, t, addr, l.TLS)
}

// reaches says whether some listener is of an address's family.
func (e *Endpoints) reaches(addr netip.Addr) bool {
	for _, l := range e.listeners {
		if l.addr().Addr().Is4() == addr.Is4() {
			return true
		}
	}
	return false
}

// Serve handles traffic and probes until ctx ends or Close, and returns when all of it has ended. It may be called once.
// The error is nil for an orderly end.
func (e *Endpoints) Serve(ctx context.Context, h Handler) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	if e.served {
		e.mu.Unlock()
		return errors.New("sipside: served already")
	}
	e.served = true
	e.handler.Store(&h)
	close(e.serving)
	e.mu.Unlock()

	failed := make(chan error, len(e.listeners))
	for _, l := range e.listeners {
		e.spawn(func() { failed <- l.serve() })
	}
	e.start(e.members.Load().backends)
	var err error
	select {
	case <-ctx.Done():
	case <-e.ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, e.Close())
	e.running.Wait()
	return err
}

// Close closes the sockets. Safe to call twice, and from a handler: it does not wait for goroutines, Serve does.
func (e *Endpoints) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	var errs []error
	for _, l := range e.listeners {
		errs = append(errs, l.close())
	}
	e.connections.shutAll()
	return errors.Join(errs...)
}

// spawn runs f as one of the goroutines that Serve waits for; false after Close.
func (e *Endpoints) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.running.Go(f)
	return true
}

// pause waits; false if Close came.
func (e *Endpoints) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// Addrs are the bound addresses of the listeners, in the order of Config.Listen (port 0 resolved).
func (e *Endpoints) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(e.listeners))
	for i, l := range e.listeners {
		addrs[i] = l.addr()
	}
	return addrs
}
