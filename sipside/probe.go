package sipside

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// watch probes the backend, and keeps a name's addresses fresh, until Close or until it left its pool and has no calls.
func (b *Backend) watch() {
	for {
		if b.retired.Load() && b.calls.Load() == 0 && b.e.forget(b) {
			return
		}
		every := b.settings.Load().probe.Every
		if b.isName() {
			b.refresh()
		}
		if every > 0 {
			b.outcome(b.probe())
		} else {
			b.unwatched()
			every = b.e.limits.names
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
		b.e.relocated()
	}
}

// probe sends OPTIONS (RFC 3261 §11); nil where the backend gave an accepted answer within the probe's limit. Of several servers one that
// stays silent is not asked the next time.
func (b *Backend) probe() error {
	began, settings := time.Now(), b.settings.Load().probe
	p, err := b.e.passageFor(b, b.options())
	if err != nil {
		return err
	}
	final := make(chan error, 1)
	tx, err := b.sendBy(p, func(event transaction.Event) {
		if event.Response != nil && event.Response.IsProvisional() {
			return
		}
		select {
		case final <- settings.judge(event):
		default:
		}
	})
	if err != nil {
		return err
	}
	timer := time.NewTimer(settings.Timeout)
	defer timer.Stop()
	select {
	case err := <-final:
		if err == nil {
			b.measured(time.Since(began))
		}
		return err
	case <-timer.C:
		err = fmt.Errorf("no answer within %s", settings.Timeout)
	case <-b.e.ctx.Done():
		err = errClosed
	}
	tx.Abandon()
	b.e.noteSilence(p.flow)
	return err
}

var errNotReached = errors.New("it cannot be reached: refused, unreachable, or the connection was lost")

// judge is nil for an answer that is accepted.
func (p Probe) judge(event transaction.Event) error {
	switch {
	case errors.Is(event.Err, transaction.ErrFlowLost):
		return errNotReached
	case event.Err != nil:
		return event.Err
	case !p.accepts(event.Response.StatusCode):
		return fmt.Errorf("the answer is %d", event.Response.StatusCode)
	}
	return nil
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
