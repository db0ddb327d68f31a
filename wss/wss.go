// Package wss is the browsers' door: SIP over WebSockets (RFC 7118).
package wss

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"tandem/sipside/transaction"
)

// Handler serves the browsers; its methods must not block.
type Handler interface {
	// ServeBrowser gets each new request of a browser, CANCEL and the ACK of a 2xx included.
	ServeBrowser(c *Conn, tx *transaction.Server)
	// BrowserGone is called once for each connection that was served, after its last request.
	BrowserGone(c *Conn)
}

// Config is the door's part of the configuration; zero durations and sizes have defaults.
type Config struct {
	Origins         []string      // exact origins that may connect; empty: any
	OriginsRequired bool          // refuse a handshake without an Origin
	MaxMessage      int           // bytes of one SIP message; default 65535
	PingEvery       time.Duration // default 25 s
	PongWait        time.Duration // default 10 s beyond PingEvery
	WriteTimeout    time.Duration // default 5 s
	ViaHost         string        // sent-by towards browsers; default: the address that the WebSocket reached
	Timers          transaction.Config
	Trace           transaction.Trace
	Log             *slog.Logger
}

// Server upgrades HTTP requests and owns the connections.
type Server struct{}

// New checks the configuration.
func New(cfg Config) (*Server, error) { panic("skeleton") }

// Serve upgrades one request, hands the connection to a goroutine of its own and returns; a refused handshake gets its
// HTTP status (400, 403, 426, 503) with a reason in the body.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, h Handler) { panic("skeleton") }

// Find gives the connection of a flow id, nil when it is gone.
func (s *Server) Find(flow string) *Conn { panic("skeleton") }

// Shutdown closes all connections (1001 going away) and waits for their goroutines or ctx.
func (s *Server) Shutdown(ctx context.Context) error { panic("skeleton") }

// Stats is a snapshot of the door's figures.
type Stats struct {
	Connections                       int
	Accepted                          uint64
	Refused                           map[string]uint64 // by reason
	MessagesIn, MessagesOut, Rejected uint64
	Closed                            map[string]uint64 // by reason
	Transactions                      transaction.Stats
}

// Stats may be called at any time.
func (s *Server) Stats() Stats { panic("skeleton") }

// Conn is one browser's connection. It meets the bridge's peer.
type Conn struct{}

// Flow is the connection's id: letters and digits, never used again in the process.
func (c *Conn) Flow() string { panic("skeleton") }

// Name is the connection's name in logs: "browser/<flow>".
func (c *Conn) Name() string { panic("skeleton") }

// Remote and Local are the socket's addresses; Local is the address that the browser reached.
func (c *Conn) Remote() netip.AddrPort { panic("skeleton") }
func (c *Conn) Local() netip.AddrPort  { panic("skeleton") }

// Request adds the Via and sends a request in a new client transaction.
func (c *Conn) Request(out transaction.Outbound, on func(transaction.Event)) (*transaction.Client, error) {
	panic("skeleton")
}

// Ack adds the Via and sends the ACK of a 2xx, outside transactions.
func (c *Conn) Ack(out transaction.Outbound) error { panic("skeleton") }

// Contact is our Contact towards this browser with the given user part.
func (c *Conn) Contact(user string) sip.Uri { panic("skeleton") }

// Done is closed when the connection is gone.
func (c *Conn) Done() <-chan struct{} { panic("skeleton") }

// Close ends the connection with a WebSocket close code and reason. Safe to call twice.
func (c *Conn) Close(code int, reason string) { panic("skeleton") }
