package sipside

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tandem/sipside/transaction"
)

// roster is all pools and backends at one time. Immutable.
type roster struct {
	pools    map[string]*Pool
	backends []*Backend // in the configuration's order; behind them those that left and still have calls
	byName   map[string]*Backend
}

// settings is what a reload may change about a backend. Immutable.
type settings struct {
	weight    int
	priority  int
	probe     Probe
	slowStart time.Duration
	drain     bool
	maxCalls  int
	maxRate   float64
	sources   []netip.Prefix // besides its servers' addresses: where its requests may come from
	tls       *TLS           // nil: as every backend's
}

// compose makes the roster of a configuration. Backends of before that are reached as before are taken over, with what is known of
// them; fresh are the others.
func (e *Endpoints) compose(cfg Config, before *roster) (d *roster, fresh []*Backend) {
	d = &roster{pools: map[string]*Pool{}, byName: map[string]*Backend{}}
	add := func(p *Pool, b *Backend) {
		d.pools[p.name] = p
		p.members = append(p.members, b)
		d.backends = append(d.backends, b)
		d.byName[b.name] = b
		b.retired.Store(false)
		if before.byName[b.name] != b {
			fresh = append(fresh, b)
		}
	}
	for _, p := range cfg.Pools {
		pool := &Pool{name: p.Name, order: p.Order, hashBy: p.HashBy, shared: p.SharedLocation}
		d.pools[p.Name] = pool
		for _, m := range p.Members {
			b := e.keep(before, newBackend(e, p.Name, memberName(p.Name, m.URI), m.URI))
			b.set(settings{
				weight: max(m.Weight, 1), priority: m.Priority, probe: p.Probe.withDefaults(), slowStart: p.SlowStart, drain: m.Drain,
				maxCalls: m.MaxCalls, maxRate: m.MaxRate,
			})
			add(pool, b)
		}
	}
	for _, t := range cfg.Trunks {
		b := e.keep(before, newBackend(e, t.Name, t.Name, t.URI, t.More...))
		b.set(settings{weight: 1, probe: t.Probe.withDefaults(), drain: t.Drain, sources: t.Sources, tls: t.TLS})
		b.enroll(t.Account)
		add(&Pool{name: t.Name}, b)
	}
	return d, fresh
}

// set takes other settings; other probes begin at once.
func (b *Backend) set(to settings) {
	before := b.settings.Swap(&to)
	if before != nil && before.probe.Every != to.probe.Every {
		b.rouse()
	}
}

// keep gives the backend of before in the place of a new one that is no other.
func (e *Endpoints) keep(before *roster, b *Backend) *Backend {
	if old := before.byName[b.name]; old != nil && old.uri.String() == b.uri.String() && slices.Equal(old.more, b.more) {
		return old
	}
	return b
}

// Reload puts other pools and trunks in the place of the present ones, at once: what is new in the configuration is added, what is
// there as before goes on. Nothing else of the configuration is looked at; an error changes nothing. Names of new members are looked
// up before it returns. What is gone from the configuration can be found and used until settle is called, so that the routes can
// change in between; from then on it gets no new requests, and stays until its last call has ended.
func (e *Endpoints) Reload(cfg Config) (settle func(), err error) {
	if err := cfg.validatePeers(); err != nil {
		return nil, err
	}
	e.reloading.Lock()
	defer e.reloading.Unlock()
	if e.ctx.Err() != nil {
		return nil, errClosed
	}
	before := e.members.Load()
	d, fresh := e.compose(cfg, before)
	e.resolve(fresh)
	var gone []*Backend
	for _, b := range before.backends {
		if !slices.Contains(d.backends, b) {
			gone = append(gone, b)
			if d.byName[b.name] == nil {
				d.byName[b.name] = b
			}
		}
	}
	d.backends = append(d.backends, gone...)
	for name, pool := range before.pools {
		if d.pools[name] == nil {
			d.pools[name] = pool
		}
	}
	for _, b := range fresh {
		b.since.Store(time.Now().UnixNano())
	}
	e.publish(d)
	e.mu.Lock()
	served := e.served
	e.mu.Unlock()
	if served {
		e.start(d.backends)
	}
	return func() {
		for _, b := range gone {
			b.retire()
		}
	}, nil
}

// publish makes a roster the present one.
func (e *Endpoints) publish(d *roster) {
	e.members.Store(d)
	e.sources.rebuild(d.backends)
}

// relocated takes note of members whose addresses changed.
func (e *Endpoints) relocated() {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.sources.rebuild(e.members.Load().backends)
}

// forget drops a backend that left and has no calls any more; false where it came back.
func (e *Endpoints) forget(b *Backend) bool {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	if !b.retired.Load() {
		return false
	}
	before := e.members.Load()
	d := &roster{pools: before.pools, byName: maps.Clone(before.byName)}
	for _, other := range before.backends {
		if other != b {
			d.backends = append(d.backends, other)
		}
	}
	if d.byName[b.name] == b {
		delete(d.byName, b.name)
	}
	b.watched.Store(false)
	e.publish(d)
	e.log.Info("backend left", "backend", b.name)
	return true
}

// start serves backends and watches them; those that are already are left alone.
func (e *Endpoints) start(backends []*Backend) {
	for _, b := range backends {
		if !b.watched.Swap(true) {
			e.spawn(b.watch)
		}
		if r := b.registrar.Load(); r != nil && !r.running.Swap(true) {
			e.spawn(r.run)
		}
	}
}

// receive is the backends' transaction.Handler.
func (b *Backend) receive(tx *transaction.Server) { (*b.e.handler.Load()).ServeBackend(b, tx) }

// enroll gives a trunk the registration that its account wants; the one of before is taken back where it is another.
func (b *Backend) enroll(a Account) {
	old := b.registrar.Load()
	if old != nil && old.account.same(a) {
		return
	}
	var fresh *registrar
	if a.Register {
		fresh = newRegistrar(b, a)
		fresh.after = old
	}
	b.registrar.Store(fresh)
	if old != nil {
		close(old.gone)
	}
}

// retire takes a backend out of its pool for good.
func (b *Backend) retire() {
	if b.retired.Swap(true) {
		return
	}
	b.e.log.Info("backend leaves", "backend", b.name, "calls", b.calls.Load())
	b.enroll(Account{})
	b.rouse()
}

// resolve looks the backends' names up, all at once.
func (e *Endpoints) resolve(backends []*Backend) {
	var asked sync.WaitGroup
	for _, b := range backends {
		asked.Go(func() {
			if _, err := b.resolve(); err != nil {
				e.log.Warn("backend has no address yet", "backend", b.name, "error", err)
			}
		})
	}
	asked.Wait()
}

// Pool finds a pool or a trunk (a pool of one) by name; nil if unknown.
func (e *Endpoints) Pool(name string) *Pool { return e.members.Load().pools[name] }

// Backend finds a backend by Backend.Name; nil if unknown.
func (e *Endpoints) Backend(name string) *Backend { return e.members.Load().byName[name] }
