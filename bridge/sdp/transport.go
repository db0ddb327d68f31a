package sdp

import (
	"net/netip"
	"slices"
)

// Profile is the technology of a leg.
type Profile uint8

const (
	RTP    Profile = iota + 1 // RTP/AVP, RTP/SAVP or UDP/TLS/RTP/SAVP, as negotiated
	WebRTC                    // UDP/TLS/RTP/SAVPF, ICE, BUNDLE, rtcp-mux
)

// String is for logs and errors.
func (p Profile) String() string {
	if p == WebRTC {
		return "WebRTC"
	}
	return "RTP"
}

// speaks says whether a heard m-line's protocol can be answered on a leg of this profile; the answer echoes it.
// RFC 8829 §5.1.2 wants every spelling of secure RTP from a WebRTC endpoint.
func (p Profile) speaks(protocol string) bool {
	if p == WebRTC {
		return slices.Contains([]string{
			"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP",
		}, protocol)
	}
	return slices.Contains([]string{
		"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF",
	}, protocol)
}

// Fingerprint is a certificate's digest (RFC 8122).
type Fingerprint struct{ Algorithm, Value string } // "sha-256", "AB:CD:…"

// Local is our transport on a leg, as the media engine gives it.
type Local struct {
	// WebRTC, and RTP legs that use DTLS or ICE
	Ufrag, Password string
	Fingerprint     Fingerprint
	Candidates      []Candidate // WebRTC; an RTP leg's are its Addr and Ports
	// SSRC is what the relay rewrites the packets towards this leg's peer to; it is announced. 0: the far side's SSRCs
	// pass through, and none is announced, for a browser binds its track to an announced one and would not hear another.
	SSRC uint32
	// RTP: our address and the even RTP port of each slot, RTCP one above; 0: no port is reserved for the slot.
	Addr  netip.Addr
	Ports []uint16
	// Crypto are the RTP leg's own SDES keys, for each slot one of each suite that is spoken, the preferred first; their
	// tags are not set. Empty where the leg has none.
	Crypto [][]Crypto `json:",omitempty"`
}

// Transport is how a peer protects its packets and proves its address, as its SDP says it.
type Transport struct {
	Ufrag, Password string
	Fingerprints    []Fingerprint
	Setup           string // "active", "passive", "actpass": the peer's
	TLSID           string
	ICELite         bool
	Candidates      []Candidate // usable ones; .local passed over
	Controlling     bool        `json:",omitempty"` // RTP legs: we are the controlling agent (RFC 8445 §6.1.1)
}

// Remote is the peer's transport on a leg, as its SDP says it. Plain value. The embedded Transport is a WebRTC leg's; an
// RTP leg has one in each stream.
type Remote struct {
	Transport
	Streams []RemoteStream // by slot
}

// RemoteStream is where a peer wants one stream, and how. On an RTP leg it is what was agreed: with Keying SDES Send and
// Receive are set, with DTLS Fingerprints and Setup, and Ufrag, Password and Candidates where both sides do ICE. Setup is the
// peer's role as decided, "active" or "passive", never "actpass". Before our Answer it is what the Answer is going to say.
type RemoteStream struct {
	RTP, RTCP netip.AddrPort     // invalid where the peer gave none (0.0.0.0, port 9, rejected)
	Mux       bool               // rtcp-mux agreed; RTCP is then RTP
	Keying    Keying             // RTP legs
	Send      Crypto             // SDES: our key, with which packets to the peer are encrypted
	Receive   Crypto             // SDES: the peer's
	Transport `json:",omitzero"` // DTLS and ICE on RTP legs
	Ptime     int                `json:",omitempty"` // ms that the peer wants to receive; 0: it did not say
}

// Control is where the peer's RTCP is: as it said, else one port above RTP's (RFC 3550 §11).
func (r *RemoteStream) Control() netip.AddrPort {
	if !r.RTCP.IsValid() && r.RTP.IsValid() {
		return netip.AddrPortFrom(r.RTP.Addr(), r.RTP.Port()+1)
	}
	return r.RTCP
}

// settle puts RTCP where rtcp-mux wants it.
func (r *RemoteStream) settle() {
	if r.Mux {
		r.RTCP = r.RTP
	}
}
