package siptest

import (
	"context"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// side is one of the two in a call between users.
type side int

const (
	caller side = iota
	callee
)

func (s side) other() side { return 1 - s }

// crossing is a call between two users: two dialogs, and what passes between them.
type crossing struct {
	// static after construction
	pbx   *PBX
	relay *relay // nil: media goes directly
	over  chan struct{}
	end   sync.Once

	mu sync.Mutex
	// guarded by mu
	legs     [2]*leg
	offering bool // a re-INVITE is on its way
}

// leg is one side's dialog.
type leg struct {
	crossing *crossing
	side     side
	dialog   *Dialog
}

// across is an SDP of one side as the other one gets it.
func (c *crossing) across(from side, sdp string) string {
	if c.relay == nil || sdp == "" {
		return sdp
	}
	return c.relay.rewrite(from, sdp)
}

// join brings both dialogs up and stays until the call is over.
func (c *crossing) join(in *Incoming, out *Outgoing, res *sip.Response) {
	p := c.pbx
	b := out.dialog(res)
	c.legs = [2]*leg{{c, caller, in.dialog(in.tag)}, {c, callee, b}}
	for _, l := range c.legs {
		leave := p.enter(l.dialog.CallID(), l.dialog.LocalTag(), l)
		defer leave()
	}
	if err := c.handshake(in, out, res); err != nil {
		if p.ctx.Err() == nil {
			p.agent.log.Warn("siptest: call not joined", "call", in.Request().CallID().Value(), "error", err)
		}
		c.hangUp(caller)
		c.hangUp(callee)
	} else {
		p.answered.Add(1)
	}
	select {
	case <-c.over:
	case <-p.ctx.Done():
	}
}

// handshake answers one side with what the other answered; a call without an offer has its answer in the ACK.
func (c *crossing) handshake(in *Incoming, out *Outgoing, res *sip.Response) error {
	reply := Reply{SDP: c.across(callee, sdpOf(res))}
	if in.SDP() != "" {
		if _, err := out.Ack(res, ""); err != nil {
			return err
		}
		_, err := in.Accept(c.pbx.ctx, reply)
		return err
	}
	d, err := in.Accept(c.pbx.ctx, reply)
	if err != nil {
		return err
	}
	_, err = out.Ack(res, c.across(caller, d.Remote))
	return err
}

// hangUp ends one side from ours.
func (c *crossing) hangUp(s side) {
	c.end.Do(func() { close(c.over) })
	c.pbx.wg.Go(func() { c.pbx.bye(c.legs[s].dialog) })
}

// serve takes the requests within one side's dialog.
func (l *leg) serve(in *Incoming) {
	c, req := l.crossing, in.Request()
	switch req.Method {
	case sip.BYE:
		c.pbx.respond(in, Reply{Status: sip.StatusOK})
		c.hangUp(l.side.other())
	case sip.OPTIONS:
		c.pbx.respond(in, Reply{Status: sip.StatusOK, Headers: []sip.Header{allow()}})
	case sip.INVITE:
		c.mu.Lock()
		busy := c.offering
		c.offering = true
		c.mu.Unlock()
		if busy {
			c.pbx.respond(in, Reply{Status: sip.StatusRequestPending})
			return
		}
		c.pbx.wg.Go(func() {
			l.passInvite(in)
			c.mu.Lock()
			c.offering = false
			c.mu.Unlock()
		})
	case sip.UPDATE, sip.INFO, sip.MESSAGE:
		c.pbx.wg.Go(func() { l.pass(in) })
	default:
		c.pbx.respond(in, Reply{Status: sip.StatusMethodNotAllowed, Headers: []sip.Header{allow()}})
	}
}

// passTime bounds what one side has to answer the other's request.
const passTime = 40 * time.Second

// passInvite passes a re-INVITE on: hold, resume, a new address.
func (l *leg) passInvite(in *Incoming) {
	c := l.crossing
	ctx, stop := context.WithTimeout(c.pbx.ctx, passTime)
	defer stop()
	l.dialog.refresh(in.Request().Contact())
	out, res := l.forward(ctx, in)
	if res == nil {
		return
	}
	if !res.IsSuccess() {
		c.pbx.respond(in, Reply{Status: res.StatusCode, Reason: res.Reason})
		return
	}
	reply := Reply{SDP: c.across(l.side.other(), sdpOf(res))}
	var err error
	if in.SDP() != "" {
		if _, err = out.Ack(res, ""); err == nil {
			_, err = in.Accept(ctx, reply)
		}
	} else {
		var d *Dialog
		if d, err = in.Accept(ctx, reply); err == nil {
			_, err = out.Ack(res, c.across(l.side, d.Remote))
		}
	}
	if err != nil && c.pbx.ctx.Err() == nil {
		c.pbx.agent.log.Warn("siptest: re-INVITE failed", "call", l.dialog.CallID(), "error", err)
	}
}

// forward sends a request on to the other side and gives its final response; where there is none the sender has its answer.
func (l *leg) forward(ctx context.Context, in *Incoming) (*Outgoing, *sip.Response) {
	c, req := l.crossing, in.Request()
	contentType, body := "", string(req.Body())
	if t := req.ContentType(); t != nil {
		contentType = string(*t)
	}
	if in.SDP() != "" {
		body = c.across(l.side, body)
	}
	out, err := c.legs[l.side.other()].dialog.Send(req.Method, contentType, body)
	if err == nil {
		var res *sip.Response
		if res, err = out.Final(ctx); err == nil {
			return out, res
		}
	}
	if c.pbx.ctx.Err() == nil {
		c.pbx.respond(in, Reply{Status: sip.StatusRequestTimeout})
	}
	return nil, nil
}

// pass passes on a request of any other method, and its answer back.
func (l *leg) pass(in *Incoming) {
	c := l.crossing
	ctx, stop := context.WithTimeout(c.pbx.ctx, passTime)
	defer stop()
	if in.Request().Method == sip.UPDATE {
		l.dialog.refresh(in.Request().Contact())
	}
	_, res := l.forward(ctx, in)
	if res == nil {
		return
	}
	r := Reply{Status: res.StatusCode, Reason: res.Reason, SDP: c.across(l.side.other(), sdpOf(res))}
	if t := res.ContentType(); t != nil && r.SDP == "" {
		r.ContentType, r.Body = string(*t), string(res.Body())
	}
	c.pbx.respond(in, r)
}
