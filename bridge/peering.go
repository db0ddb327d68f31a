package bridge

import (
	"strings"

	"tandem/bridge/route"
	"tandem/bridge/sdp"
)

// Peering is how calls with a pool or trunk are made. The zero value offers plain RTP and carries audio only.
type Peering struct {
	SDP   sdp.Policy
	DTMF  DTMF
	Learn string // whom to believe about the source of RTP: "strict", "signalling", "any"; "": as the media engine says
}

// DTMF is how a backend wants digits and sends them.
type DTMF string

const (
	DTMFAuto   DTMF = "auto"    // RFC 4733 where it was negotiated, else tones in G.711, else INFO; the zero value too
	DTMFEvents DTMF = "rfc4733" // never anything else
	DTMFInfo   DTMF = "info"    // SIP INFO, application/dtmf-relay
	DTMFInband DTMF = "inband"  // tones in the audio, which has to be G.711
)

// peering finds the Peering of a backend by its name; that of the browsers is the one of "browsers".
func (b *Bridge) peering(backend string) Peering {
	if backend == "" {
		backend = route.Browsers
	}
	pool, _, _ := strings.Cut(backend, "/")
	return b.cfg.Peerings[pool]
}
