package wss

import (
	"time"

	"github.com/gorilla/websocket"
)

// watch starts the pings and their deadline. Only a pong moves the deadline: that is what a browser answers by itself, and
// a keepalive of CRLFs proves nothing about the way back.
func (c *Conn) watch() {
	c.ws.SetPongHandler(func(string) error { return c.awaitPong() })
	c.ws.SetPingHandler(func(data string) error {
		return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.server.cfg.WriteTimeout))
	})
	_ = c.awaitPong()
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.server.cfg.PingEvery
	if c.state != stateOpen {
		wait = c.server.cfg.WriteTimeout // end was called before we began
	}
	c.timer = time.AfterFunc(wait, c.tick)
}

func (c *Conn) awaitPong() error {
	return c.ws.SetReadDeadline(time.Now().Add(c.server.cfg.PingEvery + c.server.cfg.PongWait))
}

// tick is the connection's one timer: the next ping, or the end of a closing handshake.
func (c *Conn) tick() {
	c.mu.Lock()
	state, why := c.state, c.why
	if state == stateOpen {
		c.timer.Reset(c.server.cfg.PingEvery)
	}
	c.mu.Unlock()
	switch state {
	case stateOpen:
		// A ping that cannot be written is no news: the writer or the pong's deadline ends the connection.
		_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.cfg.WriteTimeout))
	case stateClosing:
		c.cut(why)
	}
}
