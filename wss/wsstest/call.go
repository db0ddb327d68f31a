package wsstest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// State of a call; it goes up only.
type State int

// The states of a call.
const (
	Calling   State = iota // INVITE sent or received
	Ringing                // 180 sent or received
	Early                  // 183 with SDP sent or received
	Confirmed              // 2xx sent and ACK received, or 2xx received and ACK sent
	Ended
)

func (s State) String() string {
	names := [...]string{"calling", "ringing", "early", "confirmed", "ended"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

// Call is one call, in or out.
type Call struct {
	// static after construction
	incoming bool
	session  Session

	mu sync.Mutex
	// guarded by mu
	b         *Browser
	state     State
	changed   chan struct{} // closed and replaced with each change
	invite    *sip.Request  // the latest that began the call
	responses []*sip.Response
	received  []*sip.Request
	final     *sip.Response
	status    int
	why       string
	dialog    dialog
	ack       *sip.Request // of the 2xx to the first INVITE
	reAck     *sip.Request // of the 2xx to the latest re-INVITE
	answer    string       // what of the SDP answer must not change any more
	offering  bool         // an offer of ours is open
	ringing   bool         // a provisional response came: CANCEL is allowed (RFC 3261 §9.1)
	cancelled bool         // Cancel was called
	delayed   bool         // our INVITE had no offer, the 2xx has it
	awaiting  bool         // our 2xx carried the offer, the ACK carries the answer
	pracked   string       // RSeq of the latest reliable provisional
	settled   bool         // the offer of a reliable provisional was answered in its PRACK
}

func newCall(b *Browser, invite *sip.Request, session Session, incoming bool) *Call {
	c := &Call{incoming: incoming, session: session, b: b, changed: make(chan struct{}), invite: invite}
	b.mu.Lock()
	b.dialogs[string(*invite.CallID())] = c
	b.mu.Unlock()
	return c
}

func (c *Call) browser() *Browser {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b
}

// notify tells those who wait. Called with mu held.
func (c *Call) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// rise moves the state up.
func (c *Call) rise(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s > c.state {
		c.state = s
		c.notify()
	}
}

// stumble notes that the session cannot take a description. After the end of the call it takes none, and nobody is to blame.
func (c *Call) stumble(format string, args ...any) {
	if c.State() != Ended {
		c.browser().fault(format, args...)
	}
}

// end ends the call once, its media too; res where a response did it.
func (c *Call) end(res *sip.Response, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Ended {
		return
	}
	c.state, c.why, c.final = Ended, why, res
	c.notify()
	go func() { _ = c.session.Close() }()
}

// State is where the call stands.
func (c *Call) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// CallID is the dialog's, on the browser's leg.
func (c *Call) CallID() string { return string(*c.Invitation().CallID()) }

// Invitation is the latest INVITE that began the call, sent or received.
func (c *Call) Invitation() *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.invite
}

// Responses are all to the INVITE, sent or received, in order, repetitions and challenges included.
func (c *Call) Responses() []*sip.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.responses)
}

// Received are all requests of the peer within the dialog, ACK included.
func (c *Call) Received() []*sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.received)
}

// ToTags are the different To tags of the responses received, without challenges; a browser must see one.
func (c *Call) ToTags() []string {
	var tags []string
	for _, res := range c.Responses() {
		tag := res.To().Params.GetOr("tag", "")
		if tag != "" && !isChallenge(res) && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func isChallenge(res *sip.Response) bool {
	return res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
}

// Session is what makes the SDP; Media is it where it is a *Media, else nil.
func (c *Call) Session() Session { return c.session }

// Media is the call's PeerConnection; nil where Session is another.
func (c *Call) Media() *Media {
	m, _ := c.session.(*Media)
	return m
}

// Status is the final response's status (0 before it).
func (c *Call) Status() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Why says in words why the call ended; "" before.
func (c *Call) Why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Wait waits until the call is in the state or beyond. A call that ended before (unless Ended was asked for) is an error:
// *StatusError where a response ended it.
func (c *Call) Wait(ctx context.Context, s State) error {
	for {
		c.mu.Lock()
		state, final, why, changed := c.state, c.final, c.why, c.changed
		b := c.b
		c.mu.Unlock()
		switch {
		case state == Ended && s != Ended && final != nil:
			return &StatusError{final}
		case state == Ended && s != Ended:
			return fmt.Errorf("wsstest: the call ended (%s) before it was %s\n%s", why, s, b.Ladder())
		case state >= s:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wsstest: the call is %s, not %s: %w\n%s", state, s, ctx.Err(), b.Ladder())
		}
	}
}

// WaitReceived waits for a request of the peer within the dialog.
func (c *Call) WaitReceived(ctx context.Context, match func(sip.Message) bool) (*sip.Request, error) {
	for {
		c.mu.Lock()
		b, changed := c.b, c.changed
		for _, req := range c.received {
			if match(req) {
				c.mu.Unlock()
				return req, nil
			}
		}
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wsstest: the expected request did not come: %w\n%s", ctx.Err(), b.Ladder())
		}
	}
}

// Move goes on with the call on another browser's WebSocket (after a reconnect); the call answers there from now on.
func (c *Call) Move(to *Browser) {
	id := c.CallID()
	c.mu.Lock()
	from := c.b
	c.b = to
	c.mu.Unlock()
	from.mu.Lock()
	delete(from.dialogs, id)
	from.mu.Unlock()
	to.mu.Lock()
	to.dialogs[id] = c
	to.mu.Unlock()
}

// Close frees the media without a word to the peer. Browser.Close does not.
func (c *Call) Close() {
	c.end(nil, "closed here")
	_ = c.session.Close()
}
