package siptest

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// noAnswer is how long the phones of a user ring.
const noAnswer = 2 * time.Minute

// heard is what one of the phones that ring says.
type heard struct {
	from *Outgoing
	res  *sip.Response
	err  error
}

// connect calls all Contacts of a user and joins the caller to the first that answers: a back-to-back user agent.
func (p *PBX) connect(ctx context.Context, in *Incoming, user string) {
	ctx, stop := context.WithTimeout(ctx, noAnswer)
	defer stop()
	c := &crossing{pbx: p, over: make(chan struct{})}
	if !p.cfg.Direct {
		relay, err := newRelay(p.cfg.RTPAddr)
		if err != nil {
			p.agent.log.Error("siptest: no media", "error", err)
			p.refuse(in, sip.StatusInternalServerError, "")
			return
		}
		defer relay.close()
		c.relay = relay
	}
	phones, hears := p.ring(ctx, in, user, c.across(caller, in.SDP()))
	winner, res := p.await(ctx, in, c, len(phones), hears)
	for _, o := range phones {
		switch {
		case o == winner:
		case winner != nil:
			o.Hangup(sip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`))
		default:
			o.Hangup()
		}
	}
	if winner == nil {
		return
	}
	p.settled(in)
	c.join(in, winner, res)
}

// ring sends an INVITE to each Contact; what they say comes through the channel until ctx ends.
func (p *PBX) ring(ctx context.Context, in *Incoming, user, offer string) ([]*Outgoing, <-chan heard) {
	p.mu.Lock()
	bound := append([]binding(nil), p.current(user)...)
	p.mu.Unlock()
	hears := make(chan heard)
	var phones []*Outgoing
	for _, b := range bound {
		o, err := p.agent.Invite(p.callTo(b, in.Request(), offer))
		if err != nil {
			p.agent.log.Warn("siptest: contact not reached", "contact", b.uri.String(), "error", err)
			continue
		}
		phones = append(phones, o)
		p.wg.Go(func() { o.tell(ctx, hears) })
	}
	return phones, hears
}

// callTo is the INVITE to a Contact: the caller's From, its own offer.
func (p *PBX) callTo(b binding, req *sip.Request, offer string) Call {
	from := sip.HeaderClone(req.From()).(*sip.FromHeader)
	from.Params.Remove("tag")
	to := sip.HeaderClone(req.To()).(*sip.ToHeader)
	target, err := netip.ParseAddrPort(hostPort(b.uri))
	if err != nil {
		target = b.via
	}
	return Call{
		To: *b.uri.Clone(), ToHeader: to, From: from, Target: target, Transport: b.uri.UriParams.GetOr("transport", "udp"),
		SDP: offer, Headers: []sip.Header{allow()},
	}
}

// tell passes on what comes until the final response, an error or the end of ctx.
func (o *Outgoing) tell(ctx context.Context, hears chan<- heard) {
	for {
		res, err := o.Next(ctx)
		select {
		case hears <- heard{o, res, err}:
		case <-ctx.Done():
			return
		}
		if err != nil || !res.IsProvisional() {
			return
		}
	}
}

// await passes ringing on and gives the phone that answers; without one the caller has its final response.
func (p *PBX) await(ctx context.Context, in *Incoming, c *crossing, phones int, hears <-chan heard) (*Outgoing, *sip.Response) {
	worst := Reply{Status: sip.StatusTemporarilyUnavailable}
	for left := phones; left > 0; {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				p.refuse(in, sip.StatusTemporarilyUnavailable, "")
			} else if p.ctx.Err() == nil {
				p.refuse(in, sip.StatusRequestTerminated, "")
			}
			return nil, nil
		case h := <-hears:
			switch {
			case h.err != nil:
				left--
				if errors.Is(h.err, transaction.ErrTimeout) {
					worst.Status = sip.StatusRequestTimeout
				}
			case h.res.IsSuccess():
				return h.from, h.res
			case h.res.IsProvisional():
				p.passRinging(in, c, h.res, phones == 1)
			default:
				left--
				worst = Reply{Status: h.res.StatusCode, Reason: h.res.Reason}
			}
		}
	}
	p.refuse(in, worst.Status, worst.Reason)
	return nil, nil
}

// passRinging tells the caller; early media goes across where only one phone can have any.
func (p *PBX) passRinging(in *Incoming, c *crossing, res *sip.Response, only bool) {
	r := Reply{Status: res.StatusCode, Reason: res.Reason}
	switch {
	case res.StatusCode == sip.StatusTrying:
		return
	case only:
		r.SDP = c.across(callee, sdpOf(res))
	default:
		r = Reply{Status: sip.StatusRinging}
	}
	p.respond(in, r)
}
