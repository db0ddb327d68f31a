// Package transaction holds the transaction machines of RFC 3261 §17 and RFC 6026 as tables
// over sipgo's messages. Both doors use it: wss for browsers, sipside for the SIP world.
//
// CANCEL's effect, the repetition of a 2xx and the ACK of a 2xx belong to the call (RFC 3261 §13.3.1.4, §13.2.2.4),
// not to this package.
package transaction

import (
	"errors"
	"log/slog"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Errors that end a transaction or refuse a call on it.
var (
	ErrTimeout      = errors.New("transaction: no final response in time") // timer B or F
	ErrFlowLost     = errors.New("transaction: the flow was lost")
	ErrAbandoned    = errors.New("transaction: abandoned by its user")
	ErrNoResponse   = errors.New("transaction: an ACK takes no response")
	ErrTerminated   = errors.New("transaction: already terminated")
	ErrNoProceeding = errors.New("transaction: nothing to cancel")
)

// Flow is one way to one peer: a connection, or a datagram socket with the peer's address.
type Flow interface {
	// Send hands one whole message to the transport; it may block no longer than the door's write deadline.
	// The caller keeps no right to change data afterwards. An error is a transport error (RFC 3261 §17.1.4).
	Send(data []byte) error
	// Reliable is false for UDP only.
	Reliable() bool
	// Identity names the connection (or the datagram socket and peer) within the process; it is part of the
	// key of server transactions, for branches of browsers are short and sent-by is random.
	Identity() string
}

// Message is a message as it came in, with what sipgo's parser does not keep.
type Message struct {
	sip.Message
	// RequestURI is the Request-URI byte for byte (empty for a response).
	RequestURI string
	// Top, where not nil, is written before all other headers.
	Top *sip.ViaHeader
	// Lent says that whoever is told of the message may keep the goroutine of Receive: its door reads on by another.
	Lent bool
}

// Outbound is a request to send.
type Outbound struct {
	*sip.Request
	// RequestURI, where not empty, is written instead of Request.Recipient, byte for byte.
	RequestURI string
	// Top, where not nil, is our Via, which the Request does not hold: a door adds it without touching its user's request.
	Top *sip.ViaHeader
	// Wire, where not nil, is all of that as Append writes it. Nobody changes it any more.
	Wire []byte
	// Prompt says that the user takes responses without blocking, unless the Event is Lent: then the goroutine of Receive tells it.
	Prompt bool
}

// Via is the topmost.
func (o Outbound) Via() *sip.ViaHeader {
	if o.Top != nil {
		return o.Top
	}
	return o.Request.Via()
}

// Message is what goes out.
func (o Outbound) Message() Message {
	return Message{Message: o.Request, RequestURI: o.RequestURI, Top: o.Top}
}

// Event is what a client transaction tells its user: exactly one of the two is set.
// A transaction ends with one final Event; an INVITE's 2xx is followed by one Event for each further 2xx
// (repetition or fork, RFC 6026 Accepted) until timer M.
type Event struct {
	Response *sip.Response
	Err      error
	Lent     bool // the goroutine that tells it may be kept
}

// Config sets the timers; zero values are RFC 3261's (T1 500 ms, T2 4 s, T4 5 s).
type Config struct {
	T1, T2, T4 time.Duration
	Product    string // what User-Agent and Server say of us; "": neither is sent
	Log        *slog.Logger
}

// Handler gets each new request once: also a CANCEL (see Server.Cancels) and the ACK of a 2xx (Respond refuses it).
// It runs on the goroutine of Receive and must not block, unless that is lent to it (Server.Lent). An INVITE stays until it has a final
// response or its flow is lost: the user owes it one. A panic is logged, and answered with 500.
type Handler func(tx *Server)

// Traced is one message as it crossed a door; Data must not be kept after the call returns.
type Traced struct {
	Data          []byte
	At            time.Time
	Transport     string // "UDP", "TCP", "TLS", "WS", "WSS"
	Local, Remote string // host:port
	Sent          bool
	CallID        string
}

// Trace is called for each message at both doors; it must not block.
type Trace func(Traced)
