package wss

import (
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/gorilla/websocket"
)

// remoteOf is who a handshake comes from: whoever the HTTP server says, which may know it from a proxy.
func remoteOf(r *http.Request) netip.AddrPort {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// enter makes room for one more connection.
func (s *Server) enter(from netip.Addr) *refusal {
	if s.cfg.Crowd == nil {
		return nil
	}
	switch s.cfg.Crowd.Enter(from) {
	case "":
		return nil
	case FullForAddress:
		return &refusal{http.StatusTooManyRequests, RefusedAddress, "too many WebSockets from your address"}
	}
	return &refusal{http.StatusServiceUnavailable, RefusedFull, "the gateway has as many WebSockets as it takes"}
}

func (s *Server) leave(from netip.Addr) {
	if s.cfg.Crowd != nil {
		s.cfg.Crowd.Leave(from)
	}
}

// Registered tells the door whom a connection serves: a registrar has accepted user over it, or it has proved to be user. From then on
// it may be idle. Beyond Config.PerUser the user's oldest connection ends (1008). It may be called again, and for several users.
func (c *Conn) Registered(user string) {
	c.mu.Lock()
	c.known = true
	c.mu.Unlock()
	if oldest := c.server.users.add(user, c); oldest != nil {
		oldest.end(websocket.ClosePolicyViolation, "too many connections of this user: a newer one has come", ClosedUser)
	}
}

// users are the connections by whom they serve.
type users struct {
	most int // static; 0: any number

	mu     sync.Mutex
	byName map[string][]*Conn // guarded by mu; the oldest first
}

// add notes a connection, and gives the one that is too many, which is forgotten at once.
func (u *users) add(name string, c *Conn) (tooMany *Conn) {
	if u.most == 0 {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-c.done: // remove has come before
		return nil
	default:
	}
	list := u.byName[name]
	if slices.Contains(list, c) {
		return nil
	}
	list = append(list, c)
	c.serves = append(c.serves, name)
	if len(list) > u.most {
		tooMany = list[0]
		list = slices.Delete(list, 0, 1)
	}
	u.byName[name] = list
	return tooMany
}

// remove forgets a connection whose done is closed.
func (u *users) remove(c *Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, name := range c.serves {
		list := slices.DeleteFunc(u.byName[name], func(o *Conn) bool { return o == c })
		if len(list) == 0 {
			delete(u.byName, name)
		} else {
			u.byName[name] = list
		}
	}
	c.serves = nil
}
