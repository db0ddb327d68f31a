package wss

import (
	"time"

	"github.com/gorilla/websocket"
)

// watch starts the pings and their deadline. Only a pong moves the deadline: that is what a browser answers by itself, and
// a keepalive of CRLFs proves nothing about the way back.
func (c *Conn) watch() {
	c.ws.SetPongHandler(func(string) error {
		c.keepsPace()
		return c.awaitPong()
	})
	c.ws.SetPingHandler(func(data string) error {
		if !c.keepsPace() {
			return nil
		}
		return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.server.cfg.WriteTimeout))
	})
	_ = c.awaitPong()
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.server.cfg.Unregistered; limit > 0 {
		c.idleAt = time.Now().Add(limit)
	}
	wait := c.untilTick()
	if c.state != stateOpen {
		wait = c.server.cfg.WriteTimeout // end was called before we began
	}
	c.timer = time.AfterFunc(wait, c.tick)
}

// untilTick is when the timer has to run next. Called with mu held.
func (c *Conn) untilTick() time.Duration {
	if c.known || c.idleAt.IsZero() {
		return c.server.cfg.PingEvery
	}
	return min(c.server.cfg.PingEvery, max(time.Until(c.idleAt), time.Millisecond))
}

func (c *Conn) awaitPong() error {
	return c.ws.SetReadDeadline(time.Now().Add(c.server.cfg.PingEvery + c.server.cfg.PongWait))
}

// tick is the connection's one timer: the next ping, a look whether it is used, or the end of a closing handshake.
func (c *Conn) tick() {
	c.mu.Lock()
	state, why := c.state, c.why
	asks := !c.known && !c.idleAt.IsZero() && !time.Now().Before(c.idleAt)
	if asks {
		c.idleAt = time.Now().Add(c.server.cfg.Unregistered)
	}
	if state == stateOpen {
		c.timer.Reset(c.untilTick())
	}
	c.mu.Unlock()
	switch state {
	case stateOpen:
		if asks && !c.isUsed() {
			c.end(websocket.ClosePolicyViolation, "nobody registered over this connection", ClosedUnregistered)
			return
		}
		// A ping that cannot be written is no news: the writer or the pong's deadline ends the connection.
		_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.cfg.WriteTimeout))
	case stateClosing:
		c.cut(why)
	}
}

// isUsed asks the handler.
func (c *Conn) isUsed() (stays bool) {
	c.shield("BrowserIdle", func() { stays = c.handler.BrowserIdle(c) })
	return stays
}
