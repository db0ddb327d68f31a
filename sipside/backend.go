package sipside

import (
	"cmp"
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
	pool   string
	uri    sip.Uri
	target target
	more   []target      // servers to be tried after the target's
	wake   chan struct{} // probe now

	settings  atomic.Pointer[settings]
	registrar atomic.Pointer[registrar] // nil: no binding is kept there
	places    atomic.Pointer[[]place]   // sorted
	watched   atomic.Bool               // its watch runs
	drained   atomic.Bool               // it gets no new requests, for somebody wants it so
	retired   atomic.Bool               // it gets no new requests, for it is no member any more

	down            atomic.Bool
	why             atomic.Pointer[string] // it was found unable to work the last time
	restUntil       atomic.Int64           // Unix time, nanoseconds; written with mu held
	since           atomic.Int64           // Unix time, nanoseconds: up again, or added; 0: from the start
	silences        atomic.Int32           // requests without an answer, in a row
	latency         atomic.Int64           // nanoseconds
	calls           atomic.Int64
	requests, fails atomic.Uint64

	mu     sync.Mutex
	streak streak // guarded by mu
}

func newBackend(e *Endpoints, pool, name string, uri sip.Uri, more ...sip.Uri) *Backend {
	t, _ := targetOf(uri) // Validate has seen it
	b := &Backend{
		e: e, pool: pool, name: name, uri: *uri.Clone(), target: t,
		wake: make(chan struct{}, 1),
	}
	for _, uri := range more {
		another, _ := targetOf(uri)
		b.more = append(b.more, another)
	}
	return b
}

// Name is "pool/host:port" or the trunk's name; stable across restarts.
func (b *Backend) Name() string { return b.name }

// Pool is the name of the pool or trunk.
func (b *Backend) Pool() string { return b.pool }

// Cap is how many calls it may have at once, and how many new ones a second; 0: any. Whoever makes calls obeys it.
func (b *Backend) Cap() (calls int, perSecond float64) {
	s := b.settings.Load()
	return s.maxCalls, s.maxRate
}

// Host is that of its URI.
func (b *Backend) Host() string { return b.uri.Host }

// Request adds the Via and sends a request in a new client transaction. Its next hop: the topmost Route, else, where To has a
// tag, the Request-URI (RFC 3261 §12.2.1.1), else the backend's own address. Above 1300 bytes it goes by TCP, and where TCP is
// refused by UDP (§18.1.1). Local failures arrive as Event.Err; the error is a request that cannot be sent at all. It does
// not block, and out is not changed.
func (b *Backend) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	b.requests.Add(1)
	tx, err := b.send(out, func(event transaction.Event) {
		if event.Err != nil {
			b.fails.Add(1)
		} else {
			b.hear(event.Response)
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
	return b.sendBy(p, on)
}

// sendBy begins the transaction of a request that is ready.
func (b *Backend) sendBy(p passage, on func(transaction.Event)) (*transaction.Client, error) {
	tx, err := b.e.layer.Request(p.out, p.flow, func(event transaction.Event) {
		b.e.noteRefusal(p.flow, event.Response)
		on(event)
	})
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
	if err := p.flow.Send(p.out.Wire); err != nil {
		return fmt.Errorf("sipside: ACK: %w", err)
	}
	return p.start()
}

// Contact is our Contact towards this backend with the given user part (letters and digits).
func (b *Backend) Contact(user string) sip.Uri {
	peer := firstAddr(b.located())
	uri := sip.Uri{Scheme: "sip", User: user}
	via := b.transport()
	uri.Host, uri.Port = b.e.ourAddress(via, peer)
	switch {
	case b.uri.IsEncrypted(): // RFC 3261 §8.1.1.8; sips says TLS already
		uri.Scheme = "sips"
	case via != udp:
		uri.UriParams = sip.HeaderParams{{K: "transport", V: strings.ToLower(string(via))}}
	}
	return uri
}

// located are the servers that the backend is known to have now.
func (b *Backend) located() []place {
	if places := b.places.Load(); places != nil {
		return *places
	}
	return nil
}

// addresses are those of its servers.
func (b *Backend) addresses() []netip.Addr {
	var addrs []netip.Addr
	for _, p := range b.located() {
		if !slices.Contains(addrs, p.addr.Addr()) {
			addrs = append(addrs, p.addr.Addr())
		}
	}
	return addrs
}

// transport is how the backend is reached, as far as is known.
func (b *Backend) transport() transport {
	if places := b.located(); len(places) > 0 {
		return places[0].transport
	}
	return b.target.transport
}

// resolve looks the backend's servers up, waiting for the answer, and says whether they changed.
func (b *Backend) resolve() (changed bool, err error) {
	places, err := b.lookUp()
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.group, b.group), a.addr.Compare(b.addr))
	})
	if err != nil || slices.Equal(places, b.located()) {
		return false, err
	}
	b.places.Store(&places)
	return true, nil
}

// lookUp finds the servers of all targets; an error says that there are none.
func (b *Backend) lookUp() (all []place, err error) {
	for i, t := range b.targets() {
		places, bad := b.e.serversOf(t)
		err = cmp.Or(err, bad)
		for _, p := range places {
			p.priority += i << 16 // SRV's has 16 bits
			if i > 0 {
				p.host = t.host
			}
			all = append(all, p)
		}
	}
	if len(all) > 0 {
		err = nil
	}
	return all, err
}

func (b *Backend) targets() []target { return append([]target{b.target}, b.more...) }

// serversOf finds a target's servers, waiting for the name server where needed.
func (e *Endpoints) serversOf(t target) ([]place, error) {
	if addr, ok := t.literal(); ok {
		return []place{{transport: t.transport, addr: addr}}, nil
	}
	return e.names.wait(t)
}

func (b *Backend) isName() bool {
	return slices.ContainsFunc(b.targets(), func(t target) bool { _, literal := t.literal(); return !literal })
}

// stats is a snapshot of the backend's figures.
func (b *Backend) stats() BackendStats {
	settings := b.settings.Load()
	s := BackendStats{
		Name: b.name, Pool: b.pool, State: b.State(), Alive: b.Alive(), Reason: b.reason(), Latency: time.Duration(b.latency.Load()),
		Calls: int(b.calls.Load()), Weight: settings.weight, Priority: settings.priority,
		Requests: b.requests.Load(), Fails: b.fails.Load(),
	}
	if r := b.registrar.Load(); r != nil {
		s.Registers, s.Registered, s.RegisterStatus = true, r.registered.Load(), int(r.status.Load())
	}
	return s
}
