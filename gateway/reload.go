package gateway

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tandem/bridge/route"
	"tandem/sipside"
)

// The keys that a reload changes, beside log.level; the others want a restart.
var reloaded = []string{"pools", "trunks", "routes", "guard", "limits", "fraud"}

// loaded is what became of the configuration when it was read last. Safe for concurrent use.
type loaded struct {
	at      atomic.Int64 // Unix time of the last that is obeyed
	refused atomic.Pointer[string]
}

// loadedStats is a snapshot of it.
type loadedStats struct {
	At      int64  // Unix time of the one that is obeyed, in seconds
	Refused string // why a later one is not; "": there is none
}

// took takes note of what became of it.
func (l *loaded) took(err error) {
	if err != nil {
		why := err.Error()
		l.refused.Store(&why)
		return
	}
	l.at.Store(time.Now().Unix())
	l.refused.Store(nil)
}

func (l *loaded) stats() loadedStats {
	s := loadedStats{At: l.at.Load()}
	if why := l.refused.Load(); why != nil {
		s.Refused = *why
	}
	return s
}

// errNoFile is a gateway whose configuration comes from no file.
var errNoFile = errors.New("gateway: there is no configuration file to be read again")

// Reload reads the configuration anew (Options.Load) and obeys it from the next request on: pools, trunks, routes, guard, limits, fraud,
// log.level. Running calls go on, also with members that are gone. Where something is wrong nothing changes; so it is where a key
// changed that wants a restart.
func (g *Gateway) Reload() error {
	if g.load == nil {
		return errNoFile
	}
	cfg, err := g.load()
	if err == nil {
		err = g.take(cfg)
	}
	g.loaded.took(err)
	if err != nil {
		g.log.Error("the configuration is not taken, the one of before stays", "error", err)
		return err
	}
	g.log.Info("the configuration was read anew", "pools", len(cfg.Pools), "trunks", len(cfg.Trunks), "routes", len(cfg.Routes))
	return nil
}

// take obeys another configuration.
func (g *Gateway) take(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if err := cfg.fixed(g.cfg); err != nil {
		return err
	}
	tables, err := cfg.readTables()
	if err != nil {
		return err
	}
	g.sources.renew(cfg.Pools)
	if err := g.obey(cfg, tables); err != nil {
		g.sources.renew(g.current.Pools)
		return err
	}
	return nil
}

// askSources obeys the members that the pools' sources name at the start.
func (g *Gateway) askSources() error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.sources.renew(g.current.Pools)
	if len(g.sources.named) == 0 {
		return nil
	}
	return g.obey(g.current, g.tables)
}

// sourced obeys the members that a pool's source names now.
func (g *Gateway) sourced(pool string, members []sipside.Member) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	before, differs := g.sources.set(pool, members)
	if !differs {
		return nil
	}
	err := g.obey(g.current, g.tables)
	if err != nil {
		g.sources.named[pool] = before
		return err
	}
	g.log.Info("members by source", "pool", pool, "members", len(members))
	return nil
}

// obey puts the peers and routes of a configuration, with its tables and the members that its sources named, in the place of the present
// ones: what is new first, then the routes to it, then what is gone. Called with reloading held.
func (g *Gateway) obey(cfg Config, with tables) error {
	door := g.door
	if err := cfg.peersInto(&door); err != nil {
		return err
	}
	settle, err := g.sip.Reload(g.sources.complete(door))
	if err != nil {
		return err
	}
	g.bridge.Reload(cfg.peerings(g.log), cfg.localDomains(), cfg.Limits.bridge())
	g.routes.table.Store(route.New(cfg.routes(with)))
	g.watchTolls(cfg, with)
	settle()
	g.guard.Reload(cfg.Guard.guard())
	g.level.Set(cfg.Log.level())
	g.current, g.tables = cfg, with
	return nil
}

// fixed says which keys differ from another configuration's that want a restart.
func (c Config) fixed(running Config) error {
	v := validator{source: c.source}
	c.Log.Level = running.Log.Level
	now, before := reflect.ValueOf(c), reflect.ValueOf(running)
	for i := range now.NumField() {
		key := now.Type().Field(i).Tag.Get("yaml")
		if key != "" && !slices.Contains(reloaded, key) && !reflect.DeepEqual(now.Field(i).Interface(), before.Field(i).Interface()) {
			v.fail(key, "has changed, and that wants a restart; a reload changes %s and log.level", strings.Join(reloaded, ", "))
		}
	}
	return v.problems.err()
}

// routes is the bridge's Router, whose table changes.
type routes struct{ table atomic.Pointer[route.Table] }

// Route implements bridge.Router.
func (r *routes) Route(q route.Query) route.Decision { return r.table.Load().Route(q) }
