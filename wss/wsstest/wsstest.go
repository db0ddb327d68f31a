// Package wsstest is a browser for tests: SIP over WebSocket as JsSIP speaks it, a user agent on top, and real media (pion).
//
// It is an oracle, not a client: what JsSIP or SIP.js would drop, refuse or stumble over is written down as a fault
// (Browser.Faults), and everything that crossed the WebSocket stands in the ladder (Browser.Ladder).
package wsstest

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Options say how the browser behaves; the zero value is JsSIP over WSS with any certificate accepted.
type Options struct {
	Domain        string                  // of addresses of record given without one; default "example.com"
	Origin        string                  // default "https://phone.example.com"
	NoOrigin      bool                    // as native apps do
	Subprotocols  []string                // default {"sip"}
	Header        http.Header             // more headers of the handshake
	TLS           *tls.Config             // nil: the certificate is not verified
	Binary        bool                    // binary frames
	Fragment      int                     // > 0: frames of so many bytes
	NoLength      bool                    // without Content-Length
	NoPong        bool                    // never answers a WebSocket ping
	Raw           bool                    // nothing is answered by itself: Send and Expect only
	Allow         string                  // default JsSIP's; SIP.js has no UPDATE
	MaxMessage    int                     // bytes taken; default 1 MiB
	NewSession    func() (Session, error) // of calls that are given none; default: NewMedia with a 440 Hz tone in PCMU
	Instance      string                  // urn:uuid of +sip.instance; default: a random one
	NoInstance    bool                    // as SIP.js
	ContactUser   string                  // default: 8 random letters; a reconnecting browser gives its old one
	RegisterCalls string                  // Call-ID of REGISTER; default: a random one
}

// Dial opens the WebSocket. A refused handshake is a *HandshakeError.
func Dial(ctx context.Context, url string, opt Options) (*Browser, error) { panic("skeleton") }

// HandshakeError is a refused upgrade.
type HandshakeError struct {
	Status int
	Body   string
	Err    error
}

func (e *HandshakeError) Error() string { panic("skeleton") }

// StatusError is a final response other than 2xx.
type StatusError struct{ Response *sip.Response }

func (e *StatusError) Error() string { panic("skeleton") }

// Browser is one browser tab with one WebSocket.
type Browser struct{}

// Send writes a message as it is; SendRaw writes bytes as one WebSocket message.
func (b *Browser) Send(msg sip.Message) error { panic("skeleton") }
func (b *Browser) SendRaw(data []byte) error  { panic("skeleton") }

// Expect waits for a message that match accepts, among those received so far and not yet expected. The error holds the ladder.
func (b *Browser) Expect(ctx context.Context, match func(sip.Message) bool) (sip.Message, error) {
	panic("skeleton")
}

// Response and Request are predicates for Expect.
func Response(status int, method sip.RequestMethod) func(sip.Message) bool { panic("skeleton") }
func Request(method sip.RequestMethod) func(sip.Message) bool              { panic("skeleton") }

// NewRequest is a request outside dialogs with JsSIP's headers: Via, Max-Forwards, From (tag), To, Call-ID, CSeq.
func (b *Browser) NewRequest(method sip.RequestMethod, target string) *sip.Request { panic("skeleton") }

// Contact is the browser's Contact URI; Via a fresh Via of its own.
func (b *Browser) Contact() sip.Uri    { panic("skeleton") }
func (b *Browser) Via() *sip.ViaHeader { panic("skeleton") }

// Ladder is everything that crossed the WebSocket, drawn. Faults is what JsSIP or SIP.js would have dropped or refused.
func (b *Browser) Ladder() string   { panic("skeleton") }
func (b *Browser) Faults() []string { panic("skeleton") }

// Done is closed when the WebSocket is gone; Err then says why (a *websocket.CloseError where the server said so).
func (b *Browser) Done() <-chan struct{} { panic("skeleton") }
func (b *Browser) Err() error            { panic("skeleton") }

// Close closes the WebSocket with 1000; Drop cuts the TCP connection without a word (a closed tab). Calls' media goes on
// until Call.Close. Both are safe to call twice.
func (b *Browser) Close() { panic("skeleton") }
func (b *Browser) Drop()  { panic("skeleton") }

// Register registers user ("alice" or "alice@domain") and answers a challenge (MD5). The 200 is returned; a 200 that JsSIP
// would ignore (own Contact missing) is an error. Again: refreshes, with the same Call-ID and CSeq + 1.
func (b *Browser) Register(ctx context.Context, user, password string) (*sip.Response, error) {
	panic("skeleton")
}

// Unregister removes the binding (expires 0).
func (b *Browser) Unregister(ctx context.Context) (*sip.Response, error) { panic("skeleton") }

// Do sends a request, answers a challenge once (again if stale) and gives the final response.
func (b *Browser) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) { panic("skeleton") }

// InviteOptions of one outgoing call.
type InviteOptions struct {
	Session Session // nil: Options.NewSession
	Headers []sip.Header
}

// Invite sends an INVITE to target ("600", "600@domain" or a URI) and returns; Call.Wait tells what becomes of it. A challenge is
// answered as JsSIP does: same Call-ID and From tag, CSeq + 1.
func (b *Browser) Invite(ctx context.Context, target string, opt InviteOptions) (*Call, error) {
	panic("skeleton")
}

// NextCall waits for an incoming call. 100 has been sent.
func (b *Browser) NextCall(ctx context.Context) (*Call, error) { panic("skeleton") }

// State of a call.
type State int

const (
	Calling   State = iota // INVITE sent or received
	Ringing                // 180 sent or received
	Early                  // 183 with SDP sent or received
	Confirmed              // 2xx sent and ACK received, or 2xx received and ACK sent
	Ended
)

func (s State) String() string { panic("skeleton") }

// Call is one call, in or out.
type Call struct{}

func (c *Call) State() State               { panic("skeleton") }
func (c *Call) CallID() string             { panic("skeleton") }
func (c *Call) Invitation() *sip.Request   { panic("skeleton") } // the latest INVITE that began the call
func (c *Call) Responses() []*sip.Response { panic("skeleton") } // all to the INVITE, in order, repetitions and challenges included
func (c *Call) Received() []*sip.Request   { panic("skeleton") } // all requests of the peer within the dialog
func (c *Call) Session() Session           { panic("skeleton") }
func (c *Call) Media() *Media              { panic("skeleton") } // Session as *Media; nil where it is another

// Status is the final response's status (0 before it); Why says in words why the call ended ("" before).
func (c *Call) Status() int { panic("skeleton") }
func (c *Call) Why() string { panic("skeleton") }

// Wait waits until the call is in the state or beyond. A call that ended before (unless Ended was asked for) is an error:
// *StatusError where a response ended it.
func (c *Call) Wait(ctx context.Context, s State) error { panic("skeleton") }

// Ring, Progress and Answer send 180, 183 with SDP, and 200 with SDP (Answer waits for the ACK). Reject sends a refusal.
func (c *Call) Ring() error                            { panic("skeleton") }
func (c *Call) Progress(ctx context.Context) error     { panic("skeleton") }
func (c *Call) Answer(ctx context.Context) error       { panic("skeleton") }
func (c *Call) Reject(status int, reason string) error { panic("skeleton") }

// Cancel sends CANCEL and waits for the call's end; Bye likewise.
func (c *Call) Cancel(ctx context.Context) error { panic("skeleton") }
func (c *Call) Bye(ctx context.Context) error    { panic("skeleton") }

// Change says what a new offer changes.
type Change struct {
	Direction  string // "sendrecv", "sendonly", "recvonly", "inactive"; "" keeps
	RestartICE bool
}

// Reinvite makes a new offer within the call and waits for the answer. Hold (sendonly), Resume (sendrecv), RestartICE are short for it.
func (c *Call) Reinvite(ctx context.Context, ch Change) error { panic("skeleton") }
func (c *Call) Hold(ctx context.Context) error                { panic("skeleton") }
func (c *Call) Resume(ctx context.Context) error              { panic("skeleton") }
func (c *Call) RestartICE(ctx context.Context) error          { panic("skeleton") }

// Move goes on with the call on another browser's WebSocket (after a reconnect); the call answers there from now on.
func (c *Call) Move(to *Browser) { panic("skeleton") }

// SendInfo sends JsSIP's INFO for a digit; Update a session refresh without a body; Request any request within the dialog.
func (c *Call) SendInfo(ctx context.Context, digit byte) error { panic("skeleton") }
func (c *Call) Update(ctx context.Context) error               { panic("skeleton") }
func (c *Call) Request(ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	panic("skeleton")
}

// Close frees the media without a word to the peer. Browser.Close does not.
func (c *Call) Close() { panic("skeleton") }

// Session makes and takes the SDP of one call. *Media is the one with real media, Fixed one without.
type Session interface {
	Offer(ctx context.Context, ch Change) ([]byte, error)
	Answer(ctx context.Context, offer []byte) ([]byte, error)
	Accept(answer []byte) error // the answer to the last Offer
	Rollback() error            // the last Offer was refused
	Close() error
}

// Fixed is a Session that says the same text whenever it is asked, for tests of signalling.
type Fixed []byte

func (f Fixed) Offer(context.Context, Change) ([]byte, error)  { panic("skeleton") }
func (f Fixed) Answer(context.Context, []byte) ([]byte, error) { panic("skeleton") }
func (f Fixed) Accept([]byte) error                            { panic("skeleton") }
func (f Fixed) Rollback() error                                { panic("skeleton") }
func (f Fixed) Close() error                                   { panic("skeleton") }

// MediaOptions of one PeerConnection; UDP on 127.0.0.1.
type MediaOptions struct {
	Codecs           []string           // offered, in order; default opus, G722, PCMU, PCMA; telephone-event comes with them
	Send             string             // codec sent if negotiated; default PCMU, else PCMA, else the first
	Tone             float64            // Hz of PCMU and PCMA; default 440
	Payload          func(n int) []byte // payload of the n-th packet of other codecs; default: 40 bytes that carry n
	Silent           bool               // sends nothing
	WrongFingerprint bool               // the SDP's fingerprint is not that of the certificate
}

// Media is a PeerConnection with one audio stream. It starts to send when it is connected.
type Media struct{}

// NewMedia opens a PeerConnection.
func NewMedia(opt MediaOptions) (*Media, error) { panic("skeleton") }

func (m *Media) Offer(ctx context.Context, ch Change) ([]byte, error)     { panic("skeleton") }
func (m *Media) Answer(ctx context.Context, offer []byte) ([]byte, error) { panic("skeleton") }
func (m *Media) Accept(answer []byte) error                               { panic("skeleton") }
func (m *Media) Rollback() error                                          { panic("skeleton") }
func (m *Media) Close() error                                             { panic("skeleton") }

// WaitConnected waits until ICE and DTLS are done; an error where they failed.
func (m *Media) WaitConnected(ctx context.Context) error { panic("skeleton") }

// WaitTone waits until the last 200 ms received are a tone of hz (Goertzel, 80 % of the energy). WaitQuiet waits until nothing but
// silence has come for the time given.
func (m *Media) WaitTone(ctx context.Context, hz float64) error           { panic("skeleton") }
func (m *Media) WaitQuiet(ctx context.Context, quiet time.Duration) error { panic("skeleton") }

// Frequency is the strongest frequency (300 to 3400 Hz, steps of 10) of the last 200 ms received; 0 in silence.
func (m *Media) Frequency() float64 { panic("skeleton") }

// SetTone changes the tone sent.
func (m *Media) SetTone(hz float64) { panic("skeleton") }

// Sent and Received count RTP packets of audio.
func (m *Media) Sent() uint64     { panic("skeleton") }
func (m *Media) Received() uint64 { panic("skeleton") }

// Payloads are the last 64 audio payloads received, oldest first; Codec is that of the last packet ("PCMU").
func (m *Media) Payloads() [][]byte { panic("skeleton") }
func (m *Media) Codec() string      { panic("skeleton") }

// SendDigit sends an RFC 4733 event; Digits are those received.
func (m *Media) SendDigit(digit byte, d time.Duration) error { panic("skeleton") }
func (m *Media) Digits() string                              { panic("skeleton") }
