package sipside

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Backend is a pool member or trunk. It meets the bridge's peer.
type Backend struct {
	// static after construction
	e      *Endpoints
	name   string
	pool   *Pool
	uri    sip.Uri
	target target
	wake   chan struct{} // a suspicion: probe now

	serve transaction.Handler // set by Serve before anything is read

	addrs           atomic.Pointer[[]netip.Addr]
	down            atomic.Bool
	latency         atomic.Int64 // nanoseconds
	requests, fails atomic.Uint64

	mu     sync.Mutex
	health health // guarded by mu
}

func newBackend(e *Endpoints, pool *Pool, name string, uri sip.Uri) *Backend {
	t, _ := targetOf(uri) // Validate has seen it
	return &Backend{
		e: e, pool: pool, name: name, uri: *uri.Clone(), target: t,
		wake: make(chan struct{}, 1),
	}
}

// Name is "pool/host:port" or the trunk's name; stable across restarts.
func (b *Backend) Name() string { return b.name }

// Pool is the name of the pool or trunk.
func (b *Backend) Pool() string { return b.pool.name }

// Alive says whether probes find it up.
func (b *Backend) Alive() bool { return !b.down.Load() }

// Request adds the Via and sends a request in a new client transaction. Its next hop: the topmost Route, else, where To has a
// tag, the Request-URI (RFC 3261 §12.2.1.1), else the backend's own address. Above 1300 bytes it goes by TCP, and where TCP is
// refused by UDP (§18.1.1). Local failures arrive as Event.Err; the error is a request that cannot be sent at all. It does
// not block, and out is not changed.
func (b *Backend) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	b.requests.Add(1)
	tx, err := b.send(out, func(event transaction.Event) {
		if event.Err != nil {
			b.fails.Add(1)
		}
		on(event)
	})
	if err != nil {
		b.fails.Add(1)
	}
	return tx, err
}

func (b *Backend) send(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	p, err := b.e.passageFor(b, out)
	if err != nil {
		return nil, err
	}
	tx, err := b.e.layer.Request(p.out, p.flow, on)
	if err != nil {
		return nil, err
	}
	if err := p.start(); err != nil {
		tx.Abandon()
		return nil, err
	}
	return tx, nil
}

// Ack adds the Via and sends the ACK of a 2xx by the same rule, outside transactions. It does not block, and out is not
// changed.
func (b *Backend) Ack(out transaction.Outbound) error {
	p, err := b.e.passageFor(b, out)
	if err != nil {
		return err
	}
	if err := p.flow.Send(transaction.Append(nil, transaction.Message{Message: p.out.Request, RequestURI: p.out.RequestURI})); err != nil {
		return fmt.Errorf("sipside: ACK: %w", err)
	}
	return p.start()
}

// Contact is our Contact towards this backend with the given user part (letters and digits).
func (b *Backend) Contact(user string) sip.Uri {
	var peer netip.Addr
	if addrs := b.addresses(); len(addrs) > 0 {
		peer = addrs[0]
	}
	uri := sip.Uri{Scheme: "sip", User: user}
	uri.Host, uri.Port = b.e.ourAddress(b.target.transport, peer)
	switch {
	case b.uri.IsEncrypted(): // RFC 3261 §8.1.1.8; sips says TLS already
		uri.Scheme = "sips"
	case b.target.transport != udp:
		uri.UriParams = sip.HeaderParams{{K: "transport", V: strings.ToLower(string(b.target.transport))}}
	}
	return uri
}

// addresses are the addresses that the backend is known to have now.
func (b *Backend) addresses() []netip.Addr {
	if addrs := b.addrs.Load(); addrs != nil {
		return *addrs
	}
	return nil
}

// resolve looks the backend's host up, waiting for the answer, and says whether its addresses changed.
func (b *Backend) resolve() (changed bool, err error) {
	addrs, err := b.lookUp()
	if err != nil || slices.Equal(addrs, b.addresses()) {
		return false, err
	}
	b.addrs.Store(&addrs)
	return true, nil
}

func (b *Backend) lookUp() ([]netip.Addr, error) {
	if addr, ok := b.target.literal(); ok {
		return []netip.Addr{addr.Addr()}, nil
	}
	return b.e.names.wait(b.target.host)
}

func (b *Backend) isName() bool {
	_, literal := b.target.literal()
	return !literal
}

// stats is a snapshot of the backend's figures.
func (b *Backend) stats() BackendStats {
	return BackendStats{
		Name: b.name, Pool: b.pool.name, Alive: b.Alive(), Latency: time.Duration(b.latency.Load()),
		Requests: b.requests.Load(), Fails: b.fails.Load(),
	}
}
