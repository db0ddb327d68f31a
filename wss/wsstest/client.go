package wsstest

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// exchange is a client transaction: over a reliable flow all that is left of it is who gets the responses.
type exchange struct {
	browser *Browser
	key     string
	res     chan *sip.Response
}

func exchangeKey(via *sip.ViaHeader, cseq *sip.CSeqHeader) string {
	return via.Params.GetOr("branch", "") + " " + string(cseq.MethodName)
}

// begin sends a request and gathers its responses until drop.
func (b *Browser) begin(req *sip.Request) (*exchange, error) {
	x := &exchange{browser: b, key: exchangeKey(req.Via(), req.CSeq()), res: make(chan *sip.Response, 256)}
	b.mu.Lock()
	b.pending[x.key] = x
	b.mu.Unlock()
	if err := b.Send(req); err != nil {
		x.drop()
		return nil, fmt.Errorf("wsstest: send %s: %w", req.Method, err)
	}
	return x, nil
}

func (x *exchange) drop() {
	x.browser.mu.Lock()
	defer x.browser.mu.Unlock()
	delete(x.browser.pending, x.key)
}

// onResponse gives a response to its transaction, if JsSIP and SIP.js would take it.
func (b *Browser) onResponse(res *sip.Response, data []byte) {
	if why := b.insaneResponse(res, data); why != "" {
		b.fault("%d to %s would be dropped: %s", res.StatusCode, method(res), why)
		return
	}
	b.mu.Lock()
	x := b.pending[exchangeKey(res.Via(), res.CSeq())]
	c := b.dialogs[string(*res.CallID())]
	b.mu.Unlock()
	if x == nil && c != nil && c.acknowledgeAgain(res) {
		return
	}
	if x == nil {
		b.fault("%d to %s matches no transaction", res.StatusCode, method(res))
		return
	}
	select {
	case x.res <- res:
	default:
		b.fault("more than %d responses to one %s", cap(x.res), method(res))
	}
}

func method(msg sip.Message) sip.RequestMethod {
	if cseq := msg.CSeq(); cseq != nil {
		return cseq.MethodName
	}
	return "?"
}

// Subscribed lets the browser accept the NOTIFYs of a subscription, its own or that of the page before it was reloaded.
func (b *Browser) Subscribed(callID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subscribed == nil {
		b.subscribed = map[string]bool{}
	}
	b.subscribed[callID] = true
}

// Do sends a request, answers a challenge once (again if stale) and gives the final response. Each attempt has a new branch and
// CSeq + 1; req is changed accordingly.
func (b *Browser) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if req.Method == sip.SUBSCRIBE {
		b.Subscribed(string(*req.CallID()))
	}
	for tried := false; ; tried = true {
		res, err := b.once(ctx, req)
		if err != nil {
			return nil, err
		}
		if !b.answerChallenge(req, res, tried) {
			return res, nil
		}
	}
}

// once sends a request and waits for the final response. Who gives up waiting does not end the transaction: a late response is not
// a stray one.
func (b *Browser) once(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	x, err := b.begin(req)
	if err != nil {
		return nil, err
	}
	for {
		select {
		case res := <-x.res:
			if res.IsProvisional() {
				continue
			}
			x.drop()
			if req.IsInvite() && !res.IsSuccess() {
				_ = b.Send(b.belongingTo(req, sip.ACK, res.To())) // RFC 3261 §17.1.1.3
			}
			return res, nil
		case <-b.done:
			return nil, fmt.Errorf("wsstest: no final response to %s: %w\n%s", req.Method, b.Err(), b.Ladder())
		case <-ctx.Done():
			return nil, fmt.Errorf("wsstest: no final response to %s: %w\n%s", req.Method, ctx.Err(), b.Ladder())
		}
	}
}
