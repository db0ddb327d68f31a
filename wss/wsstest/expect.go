package wsstest

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// Expect waits for a message that match accepts, among those received so far and not yet expected. The error holds the ladder.
func (b *Browser) Expect(ctx context.Context, match func(sip.Message) bool) (sip.Message, error) {
	for {
		b.mu.Lock()
		for _, r := range b.inbox {
			if !r.taken && match(r.msg) {
				r.taken = true
				b.mu.Unlock()
				return r.msg, nil
			}
		}
		arrived := b.arrived
		b.mu.Unlock()
		select {
		case <-arrived:
			continue
		default:
		}
		select {
		case <-arrived:
		case <-b.done:
			return nil, fmt.Errorf("wsstest: the expected message did not come: %w\n%s", b.Err(), b.Ladder())
		case <-ctx.Done():
			return nil, fmt.Errorf("wsstest: the expected message did not come: %w\n%s", ctx.Err(), b.Ladder())
		}
	}
}

// Response is a predicate for Expect: a response with the status to the method.
func Response(status int, method sip.RequestMethod) func(sip.Message) bool {
	return func(msg sip.Message) bool {
		res, ok := msg.(*sip.Response)
		return ok && res.StatusCode == status && res.CSeq() != nil && res.CSeq().MethodName == method
	}
}

// Request is a predicate for Expect: a request with the method.
func Request(method sip.RequestMethod) func(sip.Message) bool {
	return func(msg sip.Message) bool {
		req, ok := msg.(*sip.Request)
		return ok && req.Method == method
	}
}
