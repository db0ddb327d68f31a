package transaction

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/emiago/sipgo/sip"
)

// Client is a client transaction.
type Client struct {
	core

	// static after construction
	key    clientKey
	uri    string // its Request-URI
	flow   Flow
	prompt bool // on is told by the goroutine of Receive

	// guarded by mu
	on         func(Event) // nil once nothing more will be told
	data       []byte      // the request; nil once there is a final response
	invite     essence     // of an INVITE without one: what its CANCEL and the ACK of a refusal are made from
	refusal    []byte      // the ACK of the refusal, once there is one
	events     []Event
	room       [1]Event // of events: mostly there is one at a time
	delivering bool     // a goroutine calls on, or Request is not done yet
	silenced   bool
	canceled   bool
}

func (l *Layer) newClient(key clientKey, out Outbound, flow Flow, on func(Event)) *Client {
	pair := l.tables.client
	if key.method == sip.INVITE {
		pair = l.tables.inviteClient
	}
	if out.RequestURI == "" {
		out.RequestURI = URI(&out.Recipient)
	}
	c := &Client{key: key, uri: out.RequestURI, flow: flow, prompt: out.Prompt, on: on, delivering: true, data: out.Wire}
	c.events = c.room[:0]
	if c.data == nil {
		c.data = l.write(out.Message())
	}
	if key.method == sip.INVITE {
		c.invite = essenceOf(out)
	}
	c.core = core{layer: l, table: choose(pair, flow.Reliable()), machine: c}
	return c
}

// asks says whether the request is for this Request-URI.
func (c *Client) asks(uri string) bool { return c.uri == uri }

// Flow is where the request went.
func (c *Client) Flow() Flow { return c.flow }

// Cancel sends the CANCEL of RFC 3261 §9.1 in a transaction of its own, with extra headers (Reason). The user calls it
// after a provisional response only, before it and for other methods it is ErrNoProceeding; after a final response it is
// ErrTerminated; a second call does nothing. The INVITE still ends by its own final response, or ErrTimeout 64·T1 later.
func (c *Client) Cancel(extra ...sip.Header) error {
	c.mu.Lock()
	switch {
	case c.key.method != sip.INVITE || c.state == calling:
		c.mu.Unlock()
		return ErrNoProceeding
	case c.state != proceeding:
		c.mu.Unlock()
		return ErrTerminated
	case c.canceled:
		c.mu.Unlock()
		return nil
	}
	c.canceled = true
	cancel := c.invite.cancel(extra)
	c.run(cancelled, nil, nil)
	_, err := c.layer.Request(cancel, c.flow, func(Event) {})
	return err
}

// Abandon stops retransmission and silences the transaction: no call of on begins after it returned. The machine goes on
// in silence: it still acknowledges a late refusal, and ends at the latest 64·T1 later. A late 2xx of an INVITE is lost,
// so a user who can still get one cancels instead.
func (c *Client) Abandon() {
	c.mu.Lock()
	c.silenced = true
	c.events, c.on = nil, nil
	c.run(abandoned, nil, nil)
}

// begin sends the request, and lets events out when that is done.
func (c *Client) begin() {
	c.mu.Lock()
	c.run(begin, nil, nil)
	c.mu.Lock()
	c.delivering = false
	c.mu.Unlock()
	c.tellAside()
}

func (c *Client) respond(res *sip.Response, lent bool) bool {
	in := provisional
	switch {
	case res.StatusCode >= 300:
		in = failure
	case res.StatusCode >= 200:
		in = success
	}
	c.mu.Lock()
	known := c.run(in, res, nil)
	if c.prompt {
		c.tell(lent)
	} else {
		c.tellAside()
	}
	return known
}

func (c *Client) timeout(timer input) {
	c.run(timer, nil, nil)
	c.tell(false)
}

func (c *Client) flowLost(err error) {
	c.mu.Lock()
	c.run(broken, nil, err)
	c.tellAside()
}

// run steps the machine and does its actions, but for telling the user. Called with mu held, releases it: messages go out
// without the lock, for they may come back to this transaction.
func (c *Client) run(in input, res *sip.Response, cause error) (known bool) {
	do, ok := c.advance(in)
	if !ok {
		c.mu.Unlock()
		return false
	}
	var out []byte
	for _, a := range do {
		switch a {
		case sendRequest:
			out = c.data
		case sendAck:
			out = c.refusalAck(res)
		case deliver:
			c.queue(Event{Response: res})
		case deliverTimeout:
			c.layer.counters.timeouts.Add(1)
			c.queue(Event{Err: ErrTimeout})
		case deliverLost:
			c.queue(Event{Err: lost(cause)})
		}
	}
	ended := c.state == terminated
	if c.state >= accepted {
		c.data, c.invite = nil, essence{}
	}
	c.mu.Unlock()
	if ended {
		c.layer.removeClient(c)
	}
	c.send(out)
	return true
}

func lost(cause error) error {
	if cause == nil || errors.Is(cause, ErrFlowLost) {
		return ErrFlowLost
	}
	return fmt.Errorf("%w: %w", ErrFlowLost, cause)
}

// send writes a message; a failure is the end of the transaction (RFC 3261 §17.1.4).
func (c *Client) send(data []byte) {
	if data == nil {
		return
	}
	if err := c.flow.Send(data); err != nil {
		c.layer.counters.flowErrors.Add(1)
		c.flowLost(err)
	}
}

// refusalAck is the ACK of §17.1.1.3, the same for each repetition. Called with mu held.
func (c *Client) refusalAck(res *sip.Response) []byte {
	if c.refusal == nil {
		ack := c.invite.ack(res)
		c.refusal = c.layer.write(ack.Message())
	}
	return c.refusal
}

// queue notes an event for the user. Called with mu held.
func (c *Client) queue(e Event) {
	if !c.silenced {
		c.events = append(c.events, e)
	}
}

// tellAside calls the user on a goroutine of its own, so that a slow one keeps no reader waiting, and whoever holds locks may go on.
func (c *Client) tellAside() {
	c.mu.Lock()
	idle := !c.delivering && len(c.events) > 0
	c.mu.Unlock()
	if idle {
		go c.tell(false)
	}
}

// tell calls the user until the queue is empty, unless somebody does already. Once there is nothing more to come the user is
// forgotten: the machine may go on for half a minute. lent says that the caller's goroutine may be kept.
func (c *Client) tell(lent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivering {
		return
	}
	c.delivering = true
	for len(c.events) > 0 {
		e, on := c.events[0], c.on
		if c.events = c.events[1:]; len(c.events) == 0 {
			c.events, c.room[0] = c.room[:0], Event{}
		}
		c.mu.Unlock()
		e.Lent = lent
		c.call(on, e)
		c.mu.Lock()
	}
	c.delivering = false
	if c.state >= completed {
		c.events, c.on = nil, nil
	}
}

func (c *Client) call(on func(Event), e Event) {
	defer func() {
		if p := recover(); p != nil {
			c.layer.cfg.Log.Error("transaction callback panicked", "method", c.key.method, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	on(e)
}

func (l *Layer) removeClient(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[c.key] == c {
		delete(l.clients, c.key)
		l.leave(c.flow, &c.core)
	}
}
