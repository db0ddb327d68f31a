package sdp

import (
	"net/netip"
	"slices"
)

// Profile is the technology of a leg.
type Profile uint8

const (
	RTP    Profile = iota + 1 // RTP/AVP
	WebRTC                    // UDP/TLS/RTP/SAVPF, ICE, BUNDLE, rtcp-mux
)

// String is for logs and errors.
func (p Profile) String() string {
	if p == WebRTC {
		return "WebRTC"
	}
	return "RTP"
}

// protocol is what our own offers say.
func (p Profile) protocol() string {
	if p == WebRTC {
		return "UDP/TLS/RTP/SAVPF"
	}
	return "RTP/AVP"
}

// speaks says whether a heard m-line's protocol can be answered on a leg of this profile; the answer echoes it.
// RFC 8829 §5.1.2 wants every spelling of secure RTP from a WebRTC endpoint.
func (p Profile) speaks(protocol string) bool {
	if p == WebRTC {
		return slices.Contains([]string{
			"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP",
		}, protocol)
	}
	return protocol == "RTP/AVP" || protocol == "RTP/AVPF"
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
}

// Remote is the peer's transport on a leg, as its SDP says it. Plain value. The embedded Transport is a WebRTC leg's; an
// RTP leg has one in each stream.
type Remote struct {
	Transport
	Streams []RemoteStream // by slot
}

// RemoteStream is where a peer wants one stream, and how.
type RemoteStream struct {
	RTP, RTCP netip.AddrPort     // invalid where the peer gave none (0.0.0.0, port 9, rejected)
	Mux       bool               // rtcp-mux agreed; RTCP is then RTP
	Keying    Keying             // RTP legs
	Send      Crypto             // SDES: our key, with which packets to the peer are encrypted
	Receive   Crypto             // SDES: the peer's
	Transport `json:",omitzero"` // DTLS and ICE on RTP legs
	Ptime     int                `json:",omitempty"` // ms that the peer wants to receive; 0: it did not say
}

// settle puts RTCP where rtcp-mux wants it.
func (r *RemoteStream) settle() {
	if r.Mux {
		r.RTCP = r.RTP
	}
}
