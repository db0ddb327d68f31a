// Package wss is the browsers' door: SIP over WebSockets (RFC 7118).
//
// A connection is one goroutine that reads, none while it says nothing (rest.go), and a second one only while there is something to
// write. Whatever ends a connection makes the reading goroutine end, and that one alone cleans up, in this order: the flow is not
// found any more, Done is closed, its transactions get ErrFlowLost, BrowserGone is called.
package wss

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"tandem/sipside/transaction"
)

// Handler serves the browsers; its methods must not block.
type Handler interface {
	// ServeBrowser gets each new request of a browser, CANCEL and the ACK of a 2xx included. It runs on the connection's
	// reading goroutine, so that requests come in the order in which they were sent.
	ServeBrowser(c *Conn, tx *transaction.Server)
	// BrowserGone is called once for each connection that was served, after its last request.
	BrowserGone(c *Conn)
	// BrowserIdle says whether a connection over which nobody registered may stay: something else runs over it. It is asked
	// Config.Unregistered after the handshake, and again and again.
	BrowserIdle(c *Conn) (stays bool)
}

// Guard says who may come in. Safe for concurrent use; it must not block.
type Guard interface {
	// Visit is asked at each handshake, with the client's address. Nil: it comes too often, and is refused with 429.
	Visit(from netip.Addr) Visitor
}

// Visitor is what a Guard keeps of one connection. It must not block.
type Visitor interface {
	// Message is asked for each message before it is parsed, by the connection's reading goroutine. A message is served where ok;
	// else a request is refused with 503, and with end the connection is closed.
	Message(data []byte) (ok, end bool)
	// Admit is asked for each request outside a dialog with the address of record that it says it comes from. A status other than
	// 0 is what the request is refused with.
	Admit(aor string) (status int, why string)
	// Judged tells what became of a request's credentials for an address of record; "token:" and a fingerprint
	// stands for a handshake's token that was wrong, "" for one that was good.
	Judged(aor string, good bool)
}

// Config is the door's part of the configuration; zero durations and sizes have defaults.
type Config struct {
	Origins         []string      // exact origins that may connect; empty: any
	OriginsRequired bool          // refuse a handshake without an Origin
	MaxMessage      int           // bytes of one SIP message; default MaxMessage
	MaxRate         int           // messages, pings and pongs a second over one connection, twice as many at once; 0: any number
	PerUser         int           // connections of one user; the oldest goes for a new one; 0: any number
	Unregistered    time.Duration // how long one may be open for nothing, see Handler.BrowserIdle; 0: for ever
	Crowd           Crowd         // how many there may be; nil: any number
	PingEvery       time.Duration // default 25 s
	PongWait        time.Duration // default 10 s beyond PingEvery
	WriteTimeout    time.Duration // default 5 s
	ViaHost         string        // sent-by towards browsers, host[:port]; default: as the browser asked for us
	// Authenticate judges what comes with a handshake. What it gives is the connection's Subject, nil for nobody in particular; its
	// error refuses the handshake with 401, or 503 with ErrUnavailable. It may block. Nil: credentials are not looked at.
	Authenticate func(ctx context.Context, c Credentials) (subject any, err error)
	Guard        Guard // may be nil
	Timers       transaction.Config
	Trace        transaction.Trace
	Log          *slog.Logger
}

// MaxMessage is the most that Config.MaxMessage can be: no parser behind the door takes more.
const MaxMessage = 65535

// Credentials are what a handshake brings; one of them is there.
type Credentials struct {
	Token       string            // of ?access_token= or Authorization: Bearer (RFC 6750 §2)
	Certificate *x509.Certificate // the client's, whose chain TLS has verified
}

// Crowd bounds how many connections there are. Enter says why there is no room for one more from an address: FullInAll, FullForAddress, or
// "" for a connection that is in until Leave with the same address.
type Crowd interface {
	Enter(from netip.Addr) (full string)
	Leave(from netip.Addr)
}

// What Crowd.Enter says.
const (
	FullInAll      = "full"
	FullForAddress = "address"
)

// Limits of one connection that nobody has a reason to configure.
const (
	maxQueuedMessages = 512       // towards a browser that reads slowly
	maxQueuedBytes    = 512 << 10 //
	maxMalformed      = 16        // in a row
)

// withDefaults gives the configuration that a Server works with.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.MaxMessage < 0 || cfg.MaxMessage > MaxMessage || cfg.MaxRate < 0 || cfg.PerUser < 0 || cfg.Unregistered < 0 || cfg.PingEvery < 0 || cfg.PongWait < 0 || cfg.WriteTimeout < 0 {
		return cfg, errors.New("wss: sizes, rates and durations must not be negative, and MaxMessage not above 65535")
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = MaxMessage
	}
	if cfg.PingEvery == 0 {
		cfg.PingEvery = 25 * time.Second
	}
	if cfg.PongWait == 0 {
		cfg.PongWait = 10 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Timers.Log == nil {
		cfg.Timers.Log = cfg.Log
	}
	return cfg, nil
}

// sentBy splits a Via's sent-by (RFC 3261 §20.42); port 0 stands for none.
func sentBy(s string) (host string, port int, err error) {
	if s == "" {
		return "", 0, nil
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		// No port; brackets around IPv6 are allowed and not kept, for the serialiser writes them.
		if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			s = s[1 : len(s)-1]
		}
		return s, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || host == "" || n == 0 {
		return "", 0, fmt.Errorf("wss: %q is no host[:port] for Via", s)
	}
	return host, int(n), nil
}
