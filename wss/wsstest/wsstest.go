// Package wsstest is a browser for tests: SIP over WebSocket as JsSIP speaks it, a user agent on top, and real media (pion).
//
// It is an oracle, not a client: what JsSIP or SIP.js would drop, refuse or stumble over is written down as a fault
// (Browser.Faults), and everything that crossed the WebSocket stands in the ladder (Browser.Ladder).
package wsstest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/emiago/sipgo/sip"
)

// Options say how the browser behaves; the zero value is JsSIP over WSS with any certificate accepted.
type Options struct {
	// The WebSocket.
	Origin       string      // default "https://phone.example.com"
	NoOrigin     bool        // as native apps do
	Subprotocols []string    // default {"sip"}
	Header       http.Header // more headers of the handshake
	TLS          *tls.Config // nil: the certificate is not verified
	From         net.IP      // source address; nil: the system's choice
	Binary       bool        // binary frames
	Fragment     int         // > 0: frames of so many bytes
	NoLength     bool        // without Content-Length
	NoPong       bool        // never answers a WebSocket ping

	// The user agent.
	Raw            bool                    // nothing is answered by itself: Send and Expect only
	Domain         string                  // of addresses of record given without one; default "example.com"
	Allow          string                  // default JsSIP's; SIP.js has no UPDATE
	NewSession     func() (Session, error) // of calls that are given none; default: NewMedia with a 440 Hz tone in PCMU
	Instance       string                  // urn:uuid of +sip.instance; default: a random one
	NoInstance     bool                    // no instance and no reg-id, as SIP.js
	ContactUser    string                  // default: 8 random letters; a page that reconnects gives its old one
	RegisterCallID string                  // default: a random one; a page that reconnects gives its old one
	Expires        int                     // of REGISTER; default 600
	JWT            string                  // JsSIP's authorization_jwt: the value of Authorization in each request outside dialogs
}

// jssipAllow is what JsSIP 3.13.8 writes into Allow.
const jssipAllow = "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE"

func (o Options) withDefaults() Options {
	setDefault(&o.Domain, "example.com")
	setDefault(&o.Origin, "https://phone.example.com")
	setDefault(&o.Allow, jssipAllow)
	setDefault(&o.Instance, "urn:uuid:"+newUUID())
	setDefault(&o.ContactUser, letters(8))
	setDefault(&o.RegisterCallID, letters(22))
	if o.Subprotocols == nil {
		o.Subprotocols = []string{"sip"}
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if o.Expires == 0 {
		o.Expires = 600
	}
	if o.NewSession == nil {
		o.NewSession = func() (Session, error) { return NewMedia(MediaOptions{}) }
	}
	return o
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// HandshakeError is a refused upgrade.
type HandshakeError struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("wsstest: handshake refused: %d %s", e.Status, e.Body)
}

func (e *HandshakeError) Unwrap() error { return e.Err }

// StatusError is a final response other than 2xx.
type StatusError struct{ Response *sip.Response }

func (e *StatusError) Error() string {
	method := sip.RequestMethod("?")
	if cseq := e.Response.CSeq(); cseq != nil {
		method = cseq.MethodName
	}
	return fmt.Sprintf("wsstest: %s: %d %s", method, e.Response.StatusCode, e.Response.Reason)
}
