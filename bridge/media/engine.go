package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrClosed says that the engine is closed.
var ErrClosed = errors.New("media: engine is closed")

// Engine owns the sockets and the workers.
type Engine struct {
	// static after construction
	cfg        Config
	learn      learnMode
	tick       time.Duration // parsed
	start      time.Time     // monotonic zero of the workers' clocks
	identities *identities
	workers    []*worker
	listens    []netip.AddrPort // bound
	clients    []*clientPort
	ports      *ports
	second     *ports // of the other family; nil: none
	table      *legTable
	door       *tcpDoor
	events     *dispatcher
	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	slots      chan struct{} // handshakes that may run at once

	// any goroutine
	counters    engineCounters
	allocations allocations
	running     sync.WaitGroup
	gate        sync.RWMutex // NewLeg reads, Close writes: no leg opens behind Close's back
	closing     sync.Once
	stopped     chan struct{}
}

// Open binds the browsers' port and starts the workers.
func Open(cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:     cfg,
		start:   time.Now(),
		ports:   newPorts(cfg.RTP, cfg.Limits.Drain, cfg.DSCP),
		second:  newSecondPorts(cfg.RTP, cfg.Limits.Drain, cfg.DSCP),
		table:   newLegTable(),
		door:    newTCPDoor(),
		events:  newDispatcher(),
		slots:   make(chan struct{}, maxHandshakes),
		stopped: make(chan struct{}),
	}
	e.allocations.init()
	if e.learn, err = parseLearnMode(cfg.RTP.Learn); err != nil {
		return nil, err
	}
	if e.tick, err = parseTick(cfg.Tick); err != nil {
		return nil, err
	}
	if e.identities, err = newIdentities(e.start); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if err := e.openWorkers(); err != nil {
		e.cancel()
		e.door.close()
		for _, w := range e.workers {
			w.free()
		}
		return nil, err
	}
	for _, w := range e.workers {
		e.running.Go(w.run)
	}
	for _, l := range e.door.listeners {
		e.running.Go(func() { e.accept(l) })
	}
	e.running.Go(func() { e.events.run(e.ctx.Done()) })
	return e, nil
}

func (e *Engine) openWorkers() error {
	for i := range e.cfg.Workers {
		w, err := newWorker(e, i)
		if err != nil {
			return err
		}
		e.workers = append(e.workers, w)
	}
	for number, at := range e.cfg.Listen {
		fds, bound, err := e.listen(at)
		if err != nil {
			return err
		}
		e.listens = append(e.listens, bound)
		if err := e.watch(fds, int32(number)); err != nil {
			return err
		}
	}
	return e.openClients()
}

// watch gives each worker its socket of a listen address.
func (e *Engine) watch(fds []int, number int32) error {
	for i, w := range e.workers {
		w.browsers = append(w.browsers, fds[i])
		w.out.trains.open(fds[i])
	}
	for i, w := range e.workers {
		if err := w.poller.add(fds[i], forBrowser, number); err != nil {
			return err
		}
	}
	return nil
}

const listenTries = 16

// listen binds the workers' UDP sockets and, where it is wanted, the TCP listener with the same port.
func (e *Engine) listen(at netip.AddrPort) (fds []int, bound netip.AddrPort, err error) {
	for range listenTries {
		fds, bound, err = listenBrowsers(at, len(e.workers), e.cfg.DSCP)
		if err != nil || !e.cfg.TCP || e.cfg.shares(bound) {
			return fds, bound, err
		}
		var l net.Listener
		if l, err = listenTCP(bound); err == nil {
			e.door.listeners = append(e.door.listeners, l)
			return fds, bound, nil
		}
		closeAll(fds)
		if at.Port() != 0 {
			break
		}
	}
	return nil, at, err
}

// Close ends all legs and frees the sockets. Safe to call twice.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Do(func() {
		e.gate.Lock()
		e.cancel()
		e.gate.Unlock()
		e.door.close()
		for _, w := range e.workers {
			w.post(func(w *worker) { w.stopping = true })
		}
		go e.finish()
	})
	select {
	case <-e.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish frees the legs that were between two workers when these stopped.
func (e *Engine) finish() {
	e.running.Wait()
	for l := range e.table.all() {
		l.release(e.workers[0])
	}
	for _, c := range e.door.left() {
		e.workers[0].closeTCP(c)
	}
	e.closeShared()
	e.allocations.closeAll()
	close(e.stopped)
}

// Addrs are the bound addresses of Config.Listen.
func (e *Engine) Addrs() []netip.AddrPort { return append([]netip.AddrPort(nil), e.listens...) }

func (e *Engine) closeShared() {
	for _, p := range []*ports{e.ports, e.second} {
		if p != nil {
			p.closeShared()
		}
	}
}
