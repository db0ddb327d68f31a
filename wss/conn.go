package wss

import (
	"bufio"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"tandem/sipside/transaction"
)

var _ transaction.Flow = (*Conn)(nil)

// Conn is one browser's connection. It meets the bridge's peer, and is the Flow of its transactions.
type Conn struct {
	// static after construction
	server        *Server
	handler       Handler
	ws            *websocket.Conn
	flow          string
	remote, local netip.AddrPort
	transport     string // "WS", "WSS"
	via           sip.ViaHeader
	subject       any // of Config.Authenticate
	certificate   string
	visitor       Visitor         // of Config.Guard; may be nil
	raw           syscall.RawConn // of the socket; nil: none that could be watched
	done          chan struct{}

	// owned by the reading goroutine
	br        *bufio.Reader // what ws reads from
	malformed int           // in a row
	pace      *rate.Limiter // nil: none

	serves []string // guarded by server.users.mu

	mu sync.Mutex
	// guarded by mu
	state      connState
	why        Closing  // the first cause, once state is not open
	queue      [][]byte // to be written
	queued     int      // bytes of queue
	writing    bool     // a writing goroutine runs
	closeFrame []byte   // to be written behind queue
	parked     bool     // rests: there is no reading goroutine, the poller makes one
	watched    int32    // the descriptor by which the poller knows it
	timer      *time.Timer
	pingAt     time.Time
	pongBy     time.Time // once we are closing: until when the browser has to answer the close frame
	known      bool      // Registered was called
	idleAt     time.Time // when BrowserIdle is asked next; zero: never
}

// connState goes up only.
type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // our close frame is queued or sent; what comes in is not served any more
	stateCut               // the socket is closed
)

func newConn(s *Server, ws *websocket.Conn, br *bufio.Reader, r *http.Request, h Handler) *Conn {
	c := &Conn{
		server:    s,
		handler:   h,
		ws:        ws,
		br:        br,
		raw:       rawConn(ws.NetConn()),
		local:     addrPort(ws.LocalAddr()),
		transport: "WS",
		done:      make(chan struct{}),
	}
	if r.TLS != nil {
		c.transport = "WSS"
	}
	if most := s.cfg.MaxRate; most > 0 {
		c.pace = rate.NewLimiter(rate.Limit(most), 2*most)
	}
	c.via = sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: c.transport,
		Host: s.viaHost, Port: s.viaPort}
	if s.viaHost == "" {
		c.via.Host, c.via.Port = c.asAsked(r.Host)
	}
	return c
}

// asAsked is the host and port that the browser knows us by; our own address behind a router means nothing to it.
func (c *Conn) asAsked(hostPort string) (host string, port int) {
	host, port, err := sentBy(strings.Clone(hostPort)) // of the whole request else
	if err != nil || host == "" || strings.ContainsFunc(host, notInHost) {
		return c.local.Addr().String(), int(c.local.Port())
	}
	return host, port
}

func notInHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == ':')
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Flow is the connection's id: letters and digits, never used again in the process.
func (c *Conn) Flow() string { return c.flow }

// Identity is Flow, for transaction.Flow.
func (c *Conn) Identity() string { return c.flow }

// Reliable is true: WebSockets run over TCP.
func (c *Conn) Reliable() bool { return true }

// Name is the connection's name in logs: "browser/<flow>".
func (c *Conn) Name() string { return "browser/" + c.flow }

// Transport is "WSS" where our own listener did TLS, else "WS".
func (c *Conn) Transport() string { return c.transport }

// Remote is the client's address, with port 0 where a proxy named none; Local is the address of ours that it reached.
func (c *Conn) Remote() netip.AddrPort { return c.remote }
func (c *Conn) Local() netip.AddrPort  { return c.local }

// Request adds the Via and sends a request in a new client transaction. The request is copied; out.Request is as before
// when Request returns.
func (c *Conn) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	out.Top = c.newVia()
	return c.server.layer.Request(out, c, on)
}

// Ack adds the Via and sends the ACK of a 2xx, outside transactions. out.Request is as before when Ack returns.
func (c *Conn) Ack(out transaction.Outbound) error {
	out.Top = c.newVia()
	return c.Send(transaction.Append(nil, out.Message()))
}

// newVia is our Via, with a branch that nobody can guess (RFC 3261 §8.1.1.7): a response finds its transaction by the branch alone.
func (c *Conn) newVia() *sip.ViaHeader {
	via := c.via
	via.Params = sip.HeaderParams{{K: "branch", V: sip.RFC3261BranchMagicCookie + rand.Text()}}
	return &via
}

// Contact is our Contact towards this browser with the given user part: sip: and transport=ws, also over TLS, as the
// browsers themselves write it (a sips: URI is refused by JsSIP and SIP.js with 416).
func (c *Conn) Contact(user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: c.via.Host, Port: c.via.Port,
		UriParams: sip.HeaderParams{{K: "transport", V: "ws"}}}
}

// Subject is what Config.Authenticate gave for the credentials of the handshake; nil where there was none.
func (c *Conn) Subject() any { return c.subject }

// Certificate is the subject of the client's certificate, such as CN=alice,O=Example; "" where it showed none.
func (c *Conn) Certificate() string { return c.certificate }

// Admit asks Config.Guard whether a request outside a dialog may come in, in the name of an address of record; a status other than 0
// is what it is refused with.
func (c *Conn) Admit(aor string) (status int, why string) {
	if c.visitor == nil {
		return 0, ""
	}
	return c.visitor.Admit(aor)
}

// Judged tells Config.Guard what became of a request's credentials for an address of record.
func (c *Conn) Judged(aor string, good bool) {
	if c.visitor != nil {
		c.visitor.Judged(aor, good)
	}
}

// Done is closed when the connection is gone.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the connection with a WebSocket close code and reason, behind what was sent before. Safe to call twice.
func (c *Conn) Close(code int, reason string) { c.end(code, reason, ClosedByGateway) }
