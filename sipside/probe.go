package sipside

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// health counts answers and failures in a row; a table without I/O.
type health struct{ answers, failures int }

// verdict takes one outcome and says whether the backend is down after it.
func (h *health) verdict(down, answered bool, p Probe) bool {
	if answered {
		h.answers, h.failures = h.answers+1, 0
		return down && h.answers < p.UpAfter
	}
	h.answers, h.failures = 0, h.failures+1
	return down || h.failures >= p.DownAfter
}

// Suspect reports that real traffic got no answer: it counts as a failed probe, and the next one is sent at once. Without
// probes, which alone could bring the backend back, it does nothing.
func (b *Backend) Suspect() {
	if b.pool.probe.Every == 0 {
		return
	}
	b.outcome(false)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// outcome takes an answer or a failure, and logs a change once.
func (b *Backend) outcome(answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.down.Load()
	now := b.health.verdict(was, answered, b.pool.probe)
	b.down.Store(now)
	switch {
	case now && !was:
		b.e.log.Warn("backend is down", "backend", b.name, "failures", b.health.failures)
	case was && !now:
		b.e.log.Info("backend is up", "backend", b.name, "latency", time.Duration(b.latency.Load()))
	}
}

// watched says whether there is anything to do between requests.
func (b *Backend) watched() bool { return b.pool.probe.Every > 0 || b.isName() }

// watch probes the backend, and keeps a name's addresses fresh, until Close.
func (b *Backend) watch() {
	every := b.pool.probe.Every
	if every == 0 {
		every = b.e.limits.names
	}
	for {
		if b.isName() {
			b.refresh()
		}
		if b.pool.probe.Every > 0 {
			b.outcome(b.probe(every))
		}
		timer := time.NewTimer(jitter(every))
		select {
		case <-timer.C:
		case <-b.wake:
		case <-b.e.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// jitter spreads probes, so that members are not all asked in the same instant: a tenth more or less.
func jitter(every time.Duration) time.Duration {
	return every - every/10 + mathrand.N(every/5+1)
}

// refresh looks the name up again.
func (b *Backend) refresh() {
	changed, err := b.resolve()
	switch {
	case err != nil:
		b.e.log.Debug("look up", "backend", b.name, "error", err)
	case changed:
		b.e.log.Info("backend's addresses changed", "backend", b.name, "addresses", b.addresses())
		b.e.sources.rebuild(b.e.backends)
	}
}

// probe sends OPTIONS (RFC 3261 §11) and says whether the backend answered within a probe's interval. Any response is one
// but 408 and 503: those say that it cannot work.
func (b *Backend) probe(limit time.Duration) bool {
	began := time.Now()
	final := make(chan bool, 1)
	tx, err := b.send(b.options(), func(event transaction.Event) {
		if event.Response != nil && event.Response.IsProvisional() {
			return
		}
		answered := event.Err == nil && event.Response.StatusCode != sip.StatusRequestTimeout &&
			event.Response.StatusCode != sip.StatusServiceUnavailable
		select {
		case final <- answered:
		default:
		}
	})
	if err != nil {
		b.e.log.Debug("probe", "backend", b.name, "error", err)
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case answered := <-final:
		if answered {
			b.latency.Store(int64(time.Since(began)))
		}
		return answered
	case <-timer.C:
	case <-b.e.ctx.Done():
	}
	tx.Abandon()
	return false
}

func (b *Backend) options() transaction.Outbound {
	contact := b.Contact("tandem")
	to := *b.uri.Clone()
	to.Port, to.UriParams, to.Headers = 0, nil, nil // RFC 3261 §19.1.1: what To may not have
	from := contact
	from.Port, from.UriParams = 0, nil
	req := sip.NewRequest(sip.OPTIONS, requestURIOf(b.uri))
	maxForwards := sip.MaxForwardsHeader(70)
	callID := sip.CallIDHeader(strings.ToLower(rand.Text()))
	for _, h := range []sip.Header{
		&maxForwards,
		&sip.FromHeader{Address: from, Params: sip.HeaderParams{{K: "tag", V: strings.ToLower(rand.Text())}}},
		&sip.ToHeader{Address: to},
		&callID,
		&sip.CSeqHeader{SeqNo: 1, MethodName: sip.OPTIONS},
		&sip.ContactHeader{Address: contact},
		sip.NewHeader("Accept", "application/sdp"),
	} {
		req.AppendHeader(h)
	}
	req.SetBody(nil)
	return transaction.Outbound{Request: req}
}
