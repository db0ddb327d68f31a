package gateway

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/bridge/identity"
	"tandem/turn"
)

// iceServers answers /ice.json: what a page puts into RTCPeerConnection's configuration. Who may open a WebSocket is given the
// relay's addresses and fresh credentials; without a relay the list is empty, for the gateway is reached directly, and tells
// browsers its address itself.
type iceServers struct {
	admit  func(w http.ResponseWriter, r *http.Request) (subject any, ok bool)
	server *turn.Server // nil: none
	host   string       // "": the one that was asked
	secure []uint16     // ports of HTTPS, where the relay is, too
	life   time.Duration
	now    func() time.Time
}

func (g *Gateway) iceServers(sockets []webSocket) iceServers {
	i := iceServers{admit: g.wss.Admit, server: g.turn, now: time.Now}
	if g.turn == nil {
		return i
	}
	i.host, i.life = g.cfg.TURN.Advertise, g.cfg.TURN.Credentials
	if i.life == 0 {
		i.life = defaultCredits
	}
	for _, at := range secureAddrs(sockets) {
		if !slices.Contains(i.secure, at.Port()) {
			i.secure = append(i.secure, at.Port())
		}
	}
	return i
}

// iceAnswer is the body; a page gives iceServers to RTCPeerConnection as it is.
type iceAnswer struct {
	Servers []iceServer `json:"iceServers"`
	Expires *time.Time  `json:"expires,omitempty"` // when the credentials open no further relay
}

type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// ServeHTTP implements http.Handler.
func (i iceServers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if r.Method == http.MethodOptions { // a phone that is served elsewhere asks before it sends a token
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Headers", "Authorization")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	subject, ok := i.admit(w, r)
	if !ok {
		return
	}
	if origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
	}
	header.Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(i.answer(r, subject))
}

func (i iceServers) answer(r *http.Request, subject any) iceAnswer {
	if i.server == nil {
		return iceAnswer{Servers: []iceServer{}}
	}
	user, life := i.user(r, subject)
	credential := i.server.Issue(user, life)
	stun, relay := i.urls(r.Host)
	answer := iceAnswer{Expires: &credential.Expires}
	if len(stun) > 0 {
		answer.Servers = append(answer.Servers, iceServer{URLs: stun})
	}
	answer.Servers = append(answer.Servers, iceServer{URLs: relay, Username: credential.Username, Credential: credential.Password})
	return answer
}

// user is whose allocations they will be: the token's subject, or all that come from one address.
func (i iceServers) user(r *http.Request, subject any) (name string, life time.Duration) {
	if s, ok := subject.(identity.Subject); ok {
		life = i.life
		if !s.Until.IsZero() {
			life = min(life, s.Until.Sub(i.now()))
		}
		return s.Name, life
	}
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap().WithZone("").String(), i.life
}

// urls are those of RFC 7064 and RFC 7065; browsers know nothing of DTLS here.
func (i iceServers) urls(asked string) (stun, relay []string) {
	host := i.host
	if host == "" {
		host = asked
		if name, _, err := net.SplitHostPort(asked); err == nil {
			host = name
		}
	}
	host = strings.Trim(host, "[]")
	add := func(list *[]string, scheme string, port uint16, query string) {
		url := scheme + ":" + net.JoinHostPort(host, strconv.Itoa(int(port))) + query
		if !slices.Contains(*list, url) {
			*list = append(*list, url)
		}
	}
	for _, l := range i.server.Addrs() {
		switch l.Network {
		case "udp":
			add(&stun, "stun", l.Addr.Port(), "")
			add(&relay, "turn", l.Addr.Port(), "?transport=udp")
		case "tcp":
			add(&relay, "turn", l.Addr.Port(), "?transport=tcp")
		case "tls":
			add(&relay, "turns", l.Addr.Port(), "?transport=tcp")
		}
	}
	for _, port := range i.secure {
		add(&relay, "turns", port, "?transport=tcp")
	}
	return stun, relay
}
