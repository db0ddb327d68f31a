package stir

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the certificates that are known and asked for.
const (
	maxCertificates = 1000
	maxFetches      = 32               // at once
	fetchLimit      = 10 * time.Second // of one; a call waits for FetchConfig.Timeout, the next one finds what came
	failedAge       = 30 * time.Second // how long a failure is remembered
	leastAge        = time.Minute      // what is fetched serves so long, whatever its server says
)

// certificates are the certificates of signers by their URL.
type certificates struct {
	// static after construction
	cfg     FetchConfig
	now     func() time.Time
	log     *slog.Logger
	fetches chan struct{} // one for each that runs

	mu    sync.Mutex
	known map[string]*certificate // guarded by mu
}

// certificate is one that is known, or being fetched.
type certificate struct {
	ready chan struct{} // closed when the rest is there, which does not change then

	chain []*x509.Certificate // leaf first
	fault *Fault
	until time.Time
}

func newCertificates(cfg FetchConfig, now func() time.Time, log *slog.Logger) *certificates {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &certificates{cfg: cfg, now: now, log: log, fetches: make(chan struct{}, maxFetches), known: map[string]*certificate{}}
}

// get gives a chain, leaf first. One that has to be fetched is waited for as long as ctx lasts.
func (c *certificates) get(ctx context.Context, url string) ([]*x509.Certificate, *Fault) {
	if err := c.cfg.check(url); err != nil {
		return nil, fault(Location, err.Error())
	}
	one, f := c.find(url)
	if f != nil {
		return nil, f
	}
	select {
	case <-one.ready:
		return one.chain, one.fault
	default:
	}
	select {
	case <-one.ready:
		return one.chain, one.fault
	case <-ctx.Done():
		return nil, fault(Unreachable, "the certificate does not come in time")
	}
}

// find gives what is known, and begins to fetch what is not.
func (c *certificates) find(url string) (*certificate, *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.known[url]; one != nil && !one.over(c.now()) {
		return one, nil
	}
	select {
	case c.fetches <- struct{}{}:
	default:
		return nil, fault(Unreachable, "too many certificates are being fetched")
	}
	c.makeRoom()
	one := &certificate{ready: make(chan struct{})}
	c.known[url] = one
	go func() {
		defer func() { <-c.fetches }()
		ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
		defer cancel()
		chain, age, err := c.cfg.fetch(ctx, url)
		if one.chain = chain; err != nil {
			c.log.Warn("a certificate is not fetched", "url", url, "error", err)
			one.fault, age = fault(Unreachable, "the certificate cannot be fetched"), failedAge
		}
		one.until = c.now().Add(age)
		close(one.ready)
	}()
	return one, nil
}

// over says whether what is known is too old; what is being fetched is not.
func (o *certificate) over(now time.Time) bool { return o.done() && !now.Before(o.until) }

func (o *certificate) done() bool {
	select {
	case <-o.ready:
		return true
	default:
		return false
	}
}

// makeRoom forgets what is over, and where that is not enough what matters least: failures first, then what ends next. The caller
// holds mu.
func (c *certificates) makeRoom() {
	if len(c.known) < maxCertificates {
		return
	}
	now, least, victim := c.now(), (*certificate)(nil), ""
	for url, one := range c.known {
		switch {
		case !one.done():
		case one.over(now):
			delete(c.known, url)
		case least == nil || (one.fault != nil) && least.fault == nil || (one.fault != nil) == (least.fault != nil) && one.until.Before(least.until):
			least, victim = one, url
		}
	}
	if len(c.known) >= maxCertificates {
		delete(c.known, victim)
	}
}
