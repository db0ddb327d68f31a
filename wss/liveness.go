package wss

import (
	"time"

	"github.com/gorilla/websocket"
)

// watch makes the connection's rules and starts its pings and their deadline, before anything is read. Only a pong moves the
// deadline: that is what a browser answers by itself, and a keepalive of CRLFs proves nothing about the way back.
func (c *Conn) watch() {
	c.ws.SetReadLimit(int64(c.server.cfg.MaxMessage))
	c.ws.SetPongHandler(func(string) error { // amid a message; others meet rest first
		c.gotPong()
		return nil
	})
	c.ws.SetPingHandler(func(data string) error {
		if !c.keepsPace() {
			return nil
		}
		return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.server.cfg.WriteTimeout))
	})
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.server.cfg.WriteTimeout // end was called before we began
	if c.state == stateOpen {
		c.pingAt, c.pongBy = now.Add(c.server.cfg.PingEvery), now.Add(c.server.cfg.PingEvery+c.server.cfg.PongWait)
		if limit := c.server.cfg.Unregistered; limit > 0 {
			c.idleAt = now.Add(limit)
		}
		wait = c.untilTick(now)
	}
	c.timer = time.AfterFunc(wait, c.tick)
}

// untilTick is when the timer has to run next. Called with mu held.
func (c *Conn) untilTick(now time.Time) time.Duration {
	next := c.pingAt
	for _, at := range []time.Time{c.pongBy, c.idleAt} {
		if at.Before(next) && !at.IsZero() {
			next = at
		}
	}
	return max(next.Sub(now), time.Millisecond)
}

func (c *Conn) gotPong() {
	c.keepsPace()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return
	}
	c.pongBy = time.Now().Add(c.server.cfg.PingEvery + c.server.cfg.PongWait)
}

// tick is the connection's one timer: the next ping, the end of waiting for a pong, a look whether it is used, or the end of a
// closing handshake.
func (c *Conn) tick() {
	now := time.Now()
	c.mu.Lock()
	state, why := c.state, c.why
	dead, ping := !now.Before(c.pongBy), !now.Before(c.pingAt)
	asks := !c.idleAt.IsZero() && !now.Before(c.idleAt)
	if c.known {
		c.idleAt, asks = time.Time{}, false
	}
	if asks {
		c.idleAt = now.Add(c.server.cfg.Unregistered)
	}
	if ping {
		c.pingAt = now.Add(c.server.cfg.PingEvery)
	}
	if state == stateOpen && !dead {
		c.timer.Reset(c.untilTick(now))
	}
	c.mu.Unlock()
	switch {
	case state == stateClosing && dead:
		c.cut(why)
	case state != stateOpen:
	case dead:
		c.cut(ClosedNoPong)
	case asks && !c.isUsed():
		c.end(websocket.ClosePolicyViolation, "nobody registered over this connection", ClosedUnregistered)
	case ping:
		// A ping that cannot be written is no news: the writer or the pong's deadline ends the connection.
		_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.cfg.WriteTimeout))
	}
}

// isUsed asks the handler.
func (c *Conn) isUsed() (stays bool) {
	c.shield("BrowserIdle", func() { stays = c.handler.BrowserIdle(c) })
	return stays
}
