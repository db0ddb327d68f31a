// Package bridge joins the two worlds: a back-to-back user agent that shields the browser. A call is a caller leg and a list
// of branches; each leg is a dialog of its own.
package bridge

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/bridge/admission"
	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/media"
	"tandem/bridge/recording"
	"tandem/bridge/route"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/wss"
)

// peer is whoever is at a leg's far end: a browser's connection or a backend.
type peer interface {
	Name() string
	Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error)
	Ack(out transaction.Outbound) error
	Contact(user string) sip.Uri
}

var (
	_ peer            = (*wss.Conn)(nil)
	_ peer            = (*sipside.Backend)(nil)
	_ wss.Handler     = (*Bridge)(nil)
	_ sipside.Handler = (*Bridge)(nil)
	_ Router          = (*route.Table)(nil)
	_ Browsers        = (*wss.Server)(nil)
	_ Backends        = (*sipside.Endpoints)(nil)
)

// Router decides where a request goes.
type Router interface {
	Route(route.Query) route.Decision
}

// Guard says whether a new call or registration may come in; the error's text becomes the Reason of a 503.
type Guard interface {
	Admit(origin, aor string, method sip.RequestMethod) error
}

// Events gets the typed events of calls; the call's Record is the last. It must not block.
type Events interface {
	CallEvent(Event)
}

// Browsers finds a browser's connection.
type Browsers interface {
	Find(flow string) *wss.Conn
}

// Backends finds pools and their members.
type Backends interface {
	Pool(name string) *sipside.Pool
	Backend(name string) *sipside.Backend
	PoolOf(host string) (pool string, known bool) // see sipside.Endpoints
}

// Config are the bridge's limits; zero values have the defaults of the design.
type Config struct {
	Node        string             // carried by tokens, Call-IDs and tags
	Secret      []byte             // keys the Contact tokens; stable across restarts
	TryTimeout  time.Duration      // 2 s: nothing but 100, while another living member is left to be tried
	FlowGrace   time.Duration      // 35 s: a call without a flow, once media is dead
	OrphanLimit time.Duration      // 10 min: a call without a flow, in any case
	RingLimit   time.Duration      // 3 min without a further 101–199: the call is given up (RFC 3261 §16.6 timer C)
	Watch       time.Duration      // 1 min: how often the ends of a direct call are asked whether they know it
	MaxExpires  time.Duration      // 120 s: granted to a REGISTER
	MinExpires  time.Duration      // 10 s: less is refused with 423 by the local registrar
	Domains     []string           // whose users are registered here; they are found under our own address, too
	T1          time.Duration      // 500 ms, for 2xx repetition
	Peerings    map[string]Peering // by pool or trunk, and "browsers"
	Limits      admission.Limits   // of all calls
	Recordings  string             // folder for the recordings of routes that want any
	Log         *slog.Logger
}

// Wiring is who the bridge works with; all but Guard, Tolls, Events, Gate, Load and Disk are needed.
type Wiring struct {
	Router   Router
	Guard    Guard
	Tolls    Tolls
	Events   Events
	Store    location.Store
	Nonces   *identity.Nonces
	Gate     *identity.Gate // who browsers are, for routes that say vouch or local
	Media    *media.Engine
	Browsers Browsers
	Backends Backends
	Load     func() admission.Load // what of the machine is in use; nil: there is no telling
	Disk     recording.Disk        // of recordings; nil: this machine's
}

// Bridge owns the calls and the registrations.
type Bridge struct {
	// static after construction
	cfg  Config
	with Wiring
	log  *slog.Logger
	ids  minter

	// safe for concurrent use
	calls         *registry
	lateByes      lateByes
	subscriptions *subscriptions
	registrar     *registrar
	subjects      *subjects
	judging       chan struct{} // one for each request whose credentials are judged over the network
	verifying     chan struct{} // one for each INVITE whose PASSporT is verified
	waiting       sync.Map      // by *transaction.Server: the requests that wait for one of these
	counters      *counters
	overload      *overload
	control       *admission.Control
	members       sync.Map // by name: the *admission.Quota of those members that have caps
	accounts      *accounts
	runners       runners
	peers         atomic.Pointer[peers]
	draining      atomic.Bool
}

// New makes a bridge without calls.
func New(cfg Config, with Wiring) *Bridge {
	cfg = cfg.withDefaults()
	b := &Bridge{
		cfg:       cfg,
		with:      with,
		log:       cfg.Log,
		ids:       minter{node: alphanumeric(cfg.Node)},
		calls:     newRegistry(),
		counters:  newCounters(),
		overload:  newOverload(),
		control:   admission.NewControl(with.Load, time.Now),
		accounts:  &accounts{by: map[string]*identity.Account{}},
		subjects:  newSubjects(time.Now),
		judging:   make(chan struct{}, maxJudged),
		verifying: make(chan struct{}, maxVerified),
		runners:   make(runners),
	}
	b.Reload(cfg.Peerings, cfg.Domains, cfg.Limits)
	b.registrar = newRegistrar(b)
	b.subscriptions = newSubscriptions(b)
	return b
}

func (c Config) withDefaults() Config {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	orDefault(&c.TryTimeout, 2*time.Second)
	orDefault(&c.FlowGrace, 35*time.Second)
	orDefault(&c.OrphanLimit, 10*time.Minute)
	orDefault(&c.RingLimit, 3*time.Minute)
	orDefault(&c.Watch, time.Minute)
	orDefault(&c.MaxExpires, 120*time.Second)
	orDefault(&c.MinExpires, 10*time.Second)
	orDefault(&c.T1, 500*time.Millisecond)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
