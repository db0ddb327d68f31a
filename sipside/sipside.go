// Package sipside is the SIP world's door: endpoints (UDP, TCP, TLS), backends, pools, probes.
package sipside

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Handler serves the backends; it must not block.
type Handler interface {
	// ServeBackend gets each new request of a pool member or trunk, CANCEL and the ACK of a 2xx included.
	ServeBackend(b *Backend, tx *transaction.Server)
}

// Listen is one listener.
type Listen struct {
	Network string // "udp", "tcp", "tls"
	Addr    netip.AddrPort
	TLS     *tls.Config // for "tls"
}

// Probe says how members are watched by OPTIONS.
type Probe struct {
	Every     time.Duration // 0: no probing, every member counts as alive
	DownAfter int
	UpAfter   int
}

// Member is one server of a pool.
type Member struct {
	URI    sip.Uri // host, port, transport parameter
	Weight int
}

// PoolConfig is a pool of PBXs.
type PoolConfig struct {
	Name    string
	Order   string // "round-robin" (default), "hash"
	Members []Member
	Probe   Probe
}

// TrunkConfig is one plain SIP trunk.
type TrunkConfig struct {
	Name string
	URI  sip.Uri
}

// Config is the door's part of the configuration.
type Config struct {
	Listen    []Listen
	Advertise string // host in Via and Contact; default: the listener's address
	ClientTLS *tls.Config
	Pools     []PoolConfig
	Trunks    []TrunkConfig
	Timers    transaction.Config
	Trace     transaction.Trace
	Log       *slog.Logger
}

// Endpoints are the open listeners with the pools behind them.
type Endpoints struct{}

// Open opens the listeners; on an error what was opened is closed.
func Open(cfg Config) (*Endpoints, error) { panic("skeleton") }

// Serve handles traffic and probes until ctx ends or Close.
func (e *Endpoints) Serve(ctx context.Context, h Handler) error { panic("skeleton") }

// Close closes the sockets. Safe to call twice.
func (e *Endpoints) Close() error { panic("skeleton") }

// Addrs are the bound addresses of the listeners, in the order of Config.Listen (port 0 resolved).
func (e *Endpoints) Addrs() []netip.AddrPort { panic("skeleton") }

// Pool finds a pool or a trunk (a pool of one) by name; nil if unknown.
func (e *Endpoints) Pool(name string) *Pool { panic("skeleton") }

// Backend finds a backend by Backend.Name; nil if unknown.
func (e *Endpoints) Backend(name string) *Backend { panic("skeleton") }

// Pool is a set of interchangeable backends.
type Pool struct{}

// Name is the pool's name in the configuration.
func (p *Pool) Name() string { panic("skeleton") }

// Order gives the members in the order in which to try them: living ones first. A key (an address of record) orders by
// rendezvous hash, so that REGISTER and calls of one user stay on one member; an empty key takes the pool's order.
func (p *Pool) Order(key string) []*Backend { panic("skeleton") }

// Backend is a pool member or trunk. It meets the bridge's peer.
type Backend struct{}

// Name is "pool/host:port" or the trunk's name; stable across restarts.
func (b *Backend) Name() string { panic("skeleton") }

// Pool is the name of the pool or trunk.
func (b *Backend) Pool() string { panic("skeleton") }

// Alive says whether probes find it up.
func (b *Backend) Alive() bool { panic("skeleton") }

// Request adds the Via and sends a request in a new client transaction. Its next hop: the topmost Route, else, where To has a
// tag, the Request-URI (RFC 3261 §12.2.1.1), else the backend's own address. Above 1300 bytes it goes by TCP, and where TCP is
// refused by UDP (§18.1.1). Local failures arrive as Event.Err.
func (b *Backend) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	panic("skeleton")
}

// Ack adds the Via and sends the ACK of a 2xx by the same rule, outside transactions.
func (b *Backend) Ack(out transaction.Outbound) error { panic("skeleton") }

// Contact is our Contact towards this backend with the given user part (letters and digits).
func (b *Backend) Contact(user string) sip.Uri { panic("skeleton") }

// Stats is a snapshot of the door's figures.
type Stats struct {
	MessagesIn, MessagesOut, Rejected, Strangers uint64
	Connections                                  int
	Backends                                     []BackendStats
	Transactions                                 transaction.Stats
}

// BackendStats is one backend's figures.
type BackendStats struct {
	Name, Pool      string
	Alive           bool
	Latency         time.Duration // of the last answered probe
	Requests, Fails uint64
}

// Stats may be called at any time.
func (e *Endpoints) Stats() Stats { panic("skeleton") }
