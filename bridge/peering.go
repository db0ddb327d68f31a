package bridge

import (
	"strings"
	"time"

	"tandem/bridge/identity"
	"tandem/bridge/route"
	"tandem/bridge/sdp"
	"tandem/sipside"
)

// Peering is how calls with a pool or trunk are made. The zero value offers plain RTP and carries audio only.
type Peering struct {
	SDP      sdp.Policy
	Insecure bool // no encrypted RTP is taken, even where it is offered
	DTMF     DTMF
	Reliable Reliable
	// SessionExpires is what our INVITEs ask for (RFC 4028); 0: nothing, a timer is the peer's to bring.
	SessionExpires time.Duration
	Direct         bool             // calls with another that says so have no media of ours, where that is possible: see direct.go
	Shared         bool             // audio may come in by a port that many calls share
	PassRedirects  bool             // a 3xx goes to the caller; else it is followed
	Untrusted      bool             // RFC 3325: what it asserts is not believed, and what is private not told to it
	Refer          ReferPolicy      // what becomes of a REFER that reaches this backend
	Learn          string           // whom to believe about the source of RTP: "strict", "signalling", "any"; "": as the media engine says
	Failover       sipside.Statuses // refusals after which another member is tried, besides 408 and 503
	TryTimeout     time.Duration    // 0: Config.TryTimeout
	Hide           bool             // it is outside: nothing that goes there names the networks behind the gateway
	Strip          []string         // with Hide: headers that do not go there; see hiding.Veil
	Username       string           // of the gateway, where a backend challenges what it vouches for
	Password       string
	Own            bool           // its challenges are the gateway's to answer, whoever calls
	Gate           *identity.Gate // which of its requests have to prove themselves; nil: its address is enough
	Presentation   *Presentation
	Quota          Quota
	STIR           STIR
}

// DTMF is how a backend wants digits and sends them.
type DTMF string

const (
	DTMFAuto   DTMF = "auto"    // RFC 4733 where it was negotiated, else tones in G.711, else INFO; the zero value too
	DTMFEvents DTMF = "rfc4733" // never anything else
	DTMFInfo   DTMF = "info"    // SIP INFO, application/dtmf-relay
	DTMFInband DTMF = "inband"  // tones in the audio, which has to be G.711
)

// policy is what a leg with a backend, or with a browser for which it is "", asks of its peer, given the far leg's backend. A
// browser's keying is fixed; which streams it gets is the backend's to say.
func (b *Bridge) policy(backend, far string) sdp.Policy {
	if backend != "" {
		return b.peering(backend).SDP
	}
	p := b.peering(far).SDP
	return sdp.Policy{Video: p.Video, Transcode: p.Transcode}
}

// peering finds the Peering of a backend by its name; that of the browsers is the one of "browsers". Read only.
func (b *Bridge) peering(backend string) *Peering {
	if backend == "" {
		backend = route.Browsers
	}
	if p := b.peers.Load().peerings[poolOf(backend)]; p != nil {
		return p
	}
	return new(Peering)
}

// poolOf is the pool or trunk of a backend's name.
func poolOf(backend string) string {
	pool, _, _ := strings.Cut(backend, "/")
	return pool
}
