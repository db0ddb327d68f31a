package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tandem/bridge"
	"tandem/bridge/media"
	"tandem/gateway/guard"
	"tandem/sipside"
	"tandem/sipside/transaction"
	"tandem/turn"
	"tandem/wss"
)

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
	g.bridge.Drain(true, func() {}) // at once: unregistering takes its time
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
