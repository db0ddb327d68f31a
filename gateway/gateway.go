package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tandem/bridge"
	"tandem/bridge/identity"
	"tandem/bridge/media"
	"tandem/bridge/route"
	"tandem/gateway/guard"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/turn"
	"tandem/web"
	"tandem/wss"
)

// Bounds of the nonces that are remembered to bring credentials back to whoever asked for them.
const (
	nonceLimit = 65536
	nonceAge   = 10 * time.Minute
)

// closeTimeout bounds the closing of the doors after the last call.
const closeTimeout = 5 * time.Second

// Options are what an embedding program or a test gives beside the configuration; all may be left out.
type Options struct {
	LogTo  io.Writer              // default: standard error
	Trace  transaction.Trace      // sees each message at both doors
	Timers transaction.Config     // of both doors' transactions; T1 also of the bridge
	Events bridge.Events          // gets the events of calls, beside the records; must not block
	Load   func() (Config, error) // reads the configuration anew, for Gateway.Reload
	Limits media.Limits           // of the media engine
	Demo   bool                   // behind is the demo's PBX
}

func (o Options) logTo() io.Writer {
	if o.LogTo == nil {
		return os.Stderr
	}
	return o.LogTo
}

// Gateway is the process: the doors, the bridge between them, and the operator's listener.
type Gateway struct {
	// static after construction
	cfg       Config
	log       *slog.Logger
	records   *records
	guard     *guard.Guard
	front     *front
	wss       *wss.Server
	door      sipside.Config // of sip, with the peers of the start
	sip       *sipside.Endpoints
	load      func() (Config, error) // may be nil
	routes    routes
	sources   *sources
	media     *media.Engine
	turn      *turn.Server // nil without a relay
	bridge    *bridge.Bridge
	qualities *qualities
	events    sinks
	tolls     *guard.Tolls
	webhook   *webhook
	web       *webServer
	admin     *adminServer // nil without an address
	opened    []func()     // closes what was opened, last first
	started   time.Time

	level  slog.LevelVar // of log
	loaded loaded

	reloading sync.Mutex
	current   Config // guarded by reloading: cfg, or what a reload has put in its place
	tables    tables // guarded by reloading

	running  atomic.Bool // Run or Close was called
	ready    atomic.Bool
	draining atomic.Bool
	hurry    chan struct{} // closed by Close
	once     sync.Once
	done     chan struct{} // closed when all is closed
}

// New opens everything in the order of the picture: the doors, the media, the bridge, the listeners. Nothing is served yet.
// Where something fails, what was opened is closed again.
func New(cfg Config, o Options) (_ *Gateway, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, hurry: make(chan struct{}), done: make(chan struct{}), started: time.Now(),
		qualities: newQualities(),
	}
	g.level.Set(cfg.Log.level())
	g.log = newLogger(cfg.Log, &g.level, o.logTo())
	g.loaded.at.Store(g.started.Unix())
	defer func() {
		if err != nil {
			g.closeAll()
		}
	}()

	if g.records, err = openRecords(cfg.Records.File, g.log); err != nil {
		return nil, err
	}
	g.onClose(g.records.close)
	webCerts, sipCerts, err := g.openCertificates()
	if err != nil {
		return nil, err
	}

	secret := cfg.secret(g.log)
	gate, err := g.openGate(secret)
	if err != nil {
		return nil, err
	}
	g.guard = guard.New(cfg.Guard.guard(), guard.Options{Friend: g.spared, Keep: cfg.State != "", Log: g.log})
	browsers := cfg.wss(o, browserGuard{g.guard}, g.log)
	g.front = newFront(cfg.HTTPS, g.guard.Connection, g.guard.Known, g.log)
	browsers.Authenticate, browsers.Crowd = cfg.authenticate(gate), g.front.webSockets
	if g.wss, err = wss.New(browsers); err != nil {
		return nil, err
	}
	store, err := g.openStore()
	if err != nil {
		return nil, err
	}
	if g.door, err = cfg.sipside(o, sipCerts, g.log); err != nil {
		return nil, err
	}
	g.door.Guard = g.guard
	if g.sip, err = sipside.Open(g.door); err != nil {
		return nil, err
	}
	g.onClose(func() { g.sip.Close() })
	sockets, err := listenWeb(cfg.HTTPS.Listen)
	if err != nil {
		return nil, err
	}
	g.onClose(func() { closeWeb(sockets) })
	if g.media, err = media.Open(cfg.media(o, secureAddrs(sockets), g.log)); err != nil {
		return nil, err
	}
	g.onClose(g.within("media", g.media.Close))
	if g.turn, err = g.openTURN(webCerts, secret); err != nil {
		return nil, err
	}
	if g.turn != nil {
		g.onClose(g.turn.Close)
	}
	if g.tables, err = cfg.readTables(); err != nil {
		return nil, err
	}
	g.routes.table.Store(route.New(cfg.routes(g.tables)))
	g.events, g.webhook = sinks{g.records, g.qualities, o.Events}, newWebhook(g.log)
	g.tolls = guard.NewTolls(g.log, g.raised)
	if err = g.openState(); err != nil {
		return nil, err
	}
	g.watchTolls(cfg, g.tables)
	g.bridge = bridge.New(cfg.bridge(o, secret, g.log), bridge.Wiring{
		Router:   &g.routes,
		Tolls:    tollGuard{g.tolls},
		Events:   g.events,
		Store:    store,
		Gate:     gate,
		Nonces:   identity.NewNonces(nonceLimit, nonceAge, time.Now),
		Media:    g.media,
		Browsers: g.wss,
		Backends: g.sip,
		Load:     newHeadroom(g.media.Stats).load,
	})

	g.current, g.load = cfg, o.Load
	ctx, cancel := context.WithCancel(context.Background())
	g.onClose(cancel)
	g.sources = &sources{
		srv: g.sip.Service, changed: g.sourced, log: g.log, ctx: ctx,
		named: map[string][]sipside.Member{}, asked: map[string]*asking{}, good: map[string]bool{},
	}
	if err = g.askSources(); err != nil {
		return nil, err
	}
	go g.watchTables(ctx)
	go g.webhook.run(ctx)
	sip := func(w http.ResponseWriter, r *http.Request) { g.wss.Serve(w, r, g.bridge) }
	g.onClose(g.within("browsers", g.wss.Shutdown))
	g.web = openWeb(sockets, g.front, webTLS(webCerts, cfg.HTTPS.Clients, g.turn != nil, g.log), unscanned(pages(cfg.HTTPS, sip, g.iceServers(sockets), web.Handler(o.Demo)), g.guard), g.doors(), g.log)
	g.onClose(g.within("https", g.web.shutdown))
	if cfg.Admin.Listen.IsValid() {
		if g.admin, err = openAdmin(cfg.Admin.Listen, g, g.log); err != nil {
			return nil, err
		}
		g.opened = append([]func(){g.admin.close}, g.opened...) // the last to close: it tells of the rest
	}
	return g, nil
}

// openCertificates gives those of the browsers' listener and of tls:// towards the SIP world, which may be the same.
func (g *Gateway) openCertificates() (forWeb, forSIP *certificates, err error) {
	hosts, err := certificateHosts(g.cfg.HTTPS.Listen)
	if err != nil {
		return nil, nil, err
	}
	var pairs []Certificate
	if own := (Certificate{g.cfg.HTTPS.Certificate, g.cfg.HTTPS.Key}); own.Certificate != "" {
		pairs = append(pairs, own)
	}
	pairs = append(pairs, g.cfg.HTTPS.Certificates...)
	if forWeb, err = openCertificates(pairs, hosts, g.log, time.Now); err != nil || g.cfg.SIP.Certificate == "" {
		return forWeb, forWeb, err
	}
	forSIP, err = openCertificates([]Certificate{{g.cfg.SIP.Certificate, g.cfg.SIP.Key}}, nil, g.log, time.Now)
	return forWeb, forSIP, err
}

func (g *Gateway) onClose(f func()) { g.opened = append(g.opened, f) }

// within makes a close function of a Shutdown(ctx), bounded by closeTimeout.
func (g *Gateway) within(what string, shutdown func(context.Context) error) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			g.log.Warn("not closed in order", "what", what, "error", err)
		}
	}
}

func (g *Gateway) closeAll() {
	for i := len(g.opened) - 1; i >= 0; i-- {
		g.opened[i]()
	}
	close(g.done)
}

// Run serves until ctx ends, a listener fails or Close, and then drains: not ready any more, no new calls, running ones go on
// until they end or shutdown-timeout passes (or Close is called); what is left gets its BYE; then everything is closed.
// It is called once. The error is that of the listener that failed.
func (g *Gateway) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errors.New("gateway: Run is called once")
	}
	serving, stop := context.WithCancel(context.Background())
	failed := make(chan error, 3)
	serve := func(f func() error) {
		go func() {
			if err := f(); err != nil {
				failed <- err
			}
		}()
	}
	serve(func() error { return g.sip.Serve(serving, g.bridge) })
	serve(g.web.serve)
	go SettleMemory(serving)
	if g.admin != nil {
		serve(g.admin.serve)
	}
	g.ready.Store(true)
	g.log.Info("serving", "version", Version(), "node", g.cfg.node(), "https", g.web.urls, "sip", g.sip.Addrs(), "media", g.media.Addrs())

	var err error
	select {
	case <-ctx.Done():
	case <-g.hurry:
	case err = <-failed:
		g.log.Error("a listener failed", "error", err)
	}
	g.drain()
	stop()
	g.closeAll()
	g.log.Info("ended")
	return err
}

func (g *Gateway) drain() {
	g.draining.Store(true)
	g.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.shutdownTimeout())
	defer cancel()
	go func() {
		select {
		case <-g.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	g.log.Info("draining", "calls", g.bridge.Stats().Calls, "limit", g.cfg.shutdownTimeout())
	g.sip.Unregister(ctx)
	if err := g.bridge.Shutdown(ctx); err != nil {
		g.log.Warn("running calls were ended", "error", err)
	}
}

// Close ends at once: running calls get their BYE now. It waits until all is closed. Safe to call twice, before Run and
// from any goroutine.
func (g *Gateway) Close() {
	g.once.Do(func() {
		close(g.hurry)
		if g.running.CompareAndSwap(false, true) { // never ran
			g.closeAll()
		}
	})
	<-g.done
}

// ReopenRecords makes the next call record go to a newly opened file (SIGHUP, log rotation).
func (g *Gateway) ReopenRecords() { g.records.reopen() }

// URLs are the browsers' listeners, "https://ADDRESS:PORT" or http, port 0 resolved, in the order of the configuration.
func (g *Gateway) URLs() []string { return g.web.urls }

// SIPAddrs are the listeners towards the SIP world in the order of the configuration, port 0 resolved.
func (g *Gateway) SIPAddrs() []netip.AddrPort { return g.sip.Addrs() }

// MediaAddrs are the addresses of the browsers' media, port 0 resolved.
func (g *Gateway) MediaAddrs() []netip.AddrPort { return g.media.Addrs() }

// TURNAddrs are the relay's listeners in the order of the configuration, port 0 resolved; the ports of HTTPS are not among them.
func (g *Gateway) TURNAddrs() []turn.Listen {
	if g.turn == nil {
		return nil
	}
	return g.turn.Addrs()
}

// relayUsers are the users that have allocations.
func (g *Gateway) relayUsers() map[string]turn.UserStats {
	if g.turn == nil {
		return nil
	}
	return g.turn.Users()
}

// AdminURL is "http://ADDRESS:PORT", or "" without an operator's listener.
func (g *Gateway) AdminURL() string {
	if g.admin == nil {
		return ""
	}
	return g.admin.url
}

// Backends are the members of all pools and the trunks, with what the probes think of them.
func (g *Gateway) Backends() []sipside.BackendStats { return g.sip.Stats().Backends }

// Bridge gives the calls, for snapshots.
func (g *Gateway) Bridge() *bridge.Bridge { return g.bridge }

// figures is a snapshot of everything that is counted.
type figures struct {
	Draining bool
	Loaded   loadedStats
	Sources  map[string]bool // of members, by pool: see sources.stats
	Front    frontStats
	WSS      wss.Stats
	SIP      sipside.Stats
	Media    media.Stats
	Bridge   bridge.Stats
	TURN     turn.Stats
	Guard    guard.Stats
	Tolls    guard.TollStats
	Records  recordStats
}

func (g *Gateway) figures() figures {
	f := figures{
		Draining: g.draining.Load(),
		Loaded:   g.loaded.stats(),
		Sources:  g.sources.stats(),
		Front:    g.front.stats(),
		WSS:      g.wss.Stats(),
		SIP:      g.sip.Stats(),
		Media:    g.media.Stats(),
		Bridge:   g.bridge.Stats(),
		Guard:    g.guard.Stats(),
		Tolls:    g.tolls.Stats(),
		Records:  g.records.stats(),
	}
	if g.turn != nil {
		f.TURN = g.turn.Stats()
	}
	return f
}

// sinks gives each event of a call to the records, to the histograms, and to the embedding program.
type sinks struct {
	records *records // may be nil
	quality *qualities
	other   bridge.Events // may be nil
}

// CallEvent implements bridge.Events.
func (s sinks) CallEvent(e bridge.Event) {
	s.records.CallEvent(e)
	s.quality.CallEvent(e)
	if s.other != nil {
		s.other.CallEvent(e)
	}
}
