package gateway

import (
	"context"
	"net/http"
	"time"

	"tandem/bridge"
	"tandem/bridge/identity"
	"tandem/bridge/location"
	"tandem/bridge/media"
	"tandem/bridge/route"
	"tandem/gateway/guard"
	"tandem/sipside"
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

// opening is what the steps of New hand on to one another, and nobody needs afterwards.
type opening struct {
	Options
	secret        []byte        // keys the Contact tokens, nonces and the relay's credentials
	onWeb, onSIP  *certificates // of the browsers' listener and of tls:// towards the SIP world, which may be the same
	gate          *identity.Gate
	registrations location.Store
	sockets       []webSocket
}

// New opens everything in the order of the picture: the doors, the media, the bridge, the listeners. Nothing is served yet.
// Where something fails, what was opened is closed again.
func New(cfg Config, o Options) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, hurry: make(chan struct{}), done: make(chan struct{}), started: time.Now(),
		qualities: newQualities(), current: cfg, load: o.Load,
	}
	g.level.Set(cfg.Log.level())
	g.log = newLogger(cfg.Log, &g.level, o.logTo())
	g.loaded.at.Store(g.started.Unix())
	with := &opening{Options: o, secret: cfg.secret(g.log)}
	for _, open := range []func(*opening) error{
		g.openRecords, g.openCertificates, g.openBrowsersDoor, g.openSIPDoor, g.openMedia, g.openRoutes, g.openBridge, g.openSources,
		g.openWeb, g.openAdmin,
	} {
		if err := open(with); err != nil {
			g.closeAll()
			return nil, err
		}
	}
	return g, nil
}

func (g *Gateway) openRecords(*opening) (err error) {
	if g.records, err = openRecords(g.cfg.Records.File, g.log); err != nil {
		return err
	}
	g.onClose(g.records.close)
	return nil
}

func (g *Gateway) openCertificates(with *opening) error {
	hosts, err := certificateHosts(g.cfg.HTTPS.Listen)
	if err != nil {
		return err
	}
	var pairs []Certificate
	if own := (Certificate{g.cfg.HTTPS.Certificate, g.cfg.HTTPS.Key}); own.Certificate != "" {
		pairs = append(pairs, own)
	}
	pairs = append(pairs, g.cfg.HTTPS.Certificates...)
	if with.onWeb, err = openCertificates(pairs, hosts, g.log, time.Now); err != nil {
		return err
	}
	with.onSIP = with.onWeb
	if g.cfg.SIP.Certificate != "" {
		with.onSIP, err = openCertificates([]Certificate{{g.cfg.SIP.Certificate, g.cfg.SIP.Key}}, nil, g.log, time.Now)
	}
	return err
}

// openBrowsersDoor makes the door that openWeb serves, and what it asks of who comes: the gate, the guard.
func (g *Gateway) openBrowsersDoor(with *opening) (err error) {
	if with.gate, err = g.openGate(with.secret); err != nil {
		return err
	}
	g.guard = guard.New(g.cfg.Guard.guard(), guard.Options{Friend: g.spared, Keep: g.cfg.State != "", Log: g.log})
	g.front = newFront(g.cfg.HTTPS, g.guard.Connection, g.guard.Known, g.log)
	browsers := g.cfg.wss(with.Options, browserGuard{g.guard}, g.log)
	browsers.Authenticate, browsers.Crowd = g.cfg.authenticate(with.gate), g.front.webSockets
	if g.wss, err = wss.New(browsers); err != nil {
		return err
	}
	with.registrations, err = g.openStore()
	return err
}

func (g *Gateway) openSIPDoor(with *opening) (err error) {
	if g.door, err = g.cfg.sipside(with.Options, with.onSIP, g.log); err != nil {
		return err
	}
	g.door.Guard = g.guard
	if g.sip, err = sipside.Open(g.door); err != nil {
		return err
	}
	g.onClose(func() { g.sip.Close() })
	return nil
}

// openMedia opens the media engine and the relay. The ports of HTTPS are bound before, for browsers' media comes to them, too.
func (g *Gateway) openMedia(with *opening) (err error) {
	if with.sockets, err = listenWeb(g.cfg.HTTPS.Listen); err != nil {
		return err
	}
	g.onClose(func() { closeWeb(with.sockets) })
	if g.media, err = media.Open(g.cfg.media(with.Options, secureAddrs(with.sockets), g.log)); err != nil {
		return err
	}
	g.onClose(g.within("media", g.media.Close))
	if g.turn, err = g.openTURN(with.onWeb, with.secret); err != nil {
		return err
	}
	if g.turn != nil {
		g.onClose(g.turn.Close)
	}
	return nil
}

// openRoutes reads what decides about calls: the tables, and what was spent before a restart.
func (g *Gateway) openRoutes(with *opening) (err error) {
	if g.tables, err = g.cfg.readTables(); err != nil {
		return err
	}
	g.routes.table.Store(route.New(g.cfg.routes(g.tables)))
	g.events, g.webhook = sinks{g.records, g.qualities, with.Events}, newWebhook(g.log)
	g.tolls = guard.NewTolls(g.log, g.raised)
	if err = g.openState(); err != nil {
		return err
	}
	g.watchTolls(g.cfg, g.tables)
	return nil
}

func (g *Gateway) openBridge(with *opening) error {
	g.bridge = bridge.New(g.cfg.bridge(with.Options, with.secret, g.log), bridge.Wiring{
		Router:   &g.routes,
		Tolls:    tollGuard{g.tolls},
		Events:   g.events,
		Store:    with.registrations,
		Gate:     with.gate,
		Nonces:   identity.NewNonces(nonceLimit, nonceAge, time.Now),
		Media:    g.media,
		Browsers: g.wss,
		Backends: g.sip,
		Load:     newHeadroom(g.media.Stats).load,
	})
	return nil
}

// openSources begins to look for what changes while the gateway runs: members by source, tables.
func (g *Gateway) openSources(*opening) error {
	ctx, cancel := context.WithCancel(context.Background())
	g.onClose(cancel)
	g.sources = &sources{
		srv: g.sip.Service, changed: g.sourced, log: g.log, ctx: ctx,
		named: map[string][]sipside.Member{}, asked: map[string]*asking{}, good: map[string]bool{},
	}
	if err := g.askSources(); err != nil {
		return err
	}
	go g.watchTables(ctx)
	go g.webhook.run(ctx)
	return nil
}

func (g *Gateway) openWeb(with *opening) error {
	https := g.cfg.HTTPS
	sip := func(w http.ResponseWriter, r *http.Request) { g.wss.Serve(w, r, g.bridge) }
	g.onClose(g.within("browsers", g.wss.Shutdown))
	handler := unscanned(pages(https, sip, g.iceServers(with.sockets), web.Handler(with.Demo)), g.guard)
	secure := webTLS(with.onWeb, https.Clients, g.turn != nil, g.log)
	g.web = openWeb(with.sockets, g.front, secure, handler, g.doors(), g.log)
	g.onClose(g.within("https", g.web.shutdown))
	return nil
}

// openAdmin opens the operator's listener, which is the last to close: it tells of the rest.
func (g *Gateway) openAdmin(*opening) (err error) {
	if !g.cfg.Admin.Listen.IsValid() {
		return nil
	}
	if g.admin, err = openAdmin(g.cfg.Admin.Listen, g, g.log); err != nil {
		return err
	}
	g.opened = append([]func(){g.admin.close}, g.opened...)
	return nil
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
