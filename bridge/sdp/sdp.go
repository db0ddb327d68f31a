// Package sdp is offer and answer (RFC 3264, RFC 8829, RFC 8866) between legs of different profiles, as pure functions:
// text in, text and a Plan for the media out. Nothing here does I/O, keeps state or knows SIP.
package sdp

import (
	"errors"
	"net/netip"
)

// Errors have a class, for the SIP status is chosen from it in one place (the bridge).
var (
	ErrMalformed     = errors.New("sdp: malformed")            // → 400
	ErrNotAcceptable = errors.New("sdp: nothing acceptable")   // → 488: no common codec, profile or stream
	ErrNoState       = errors.New("sdp: answer without offer") // a fault of ours
)

// Profile is the technology of a leg.
type Profile uint8

const (
	RTP    Profile = iota + 1 // RTP/AVP
	WebRTC                    // UDP/TLS/RTP/SAVPF, ICE, BUNDLE, rtcp-mux
)

// Direction of a stream, seen from whoever wrote the description.
type Direction uint8

const (
	Inactive Direction = 0
	SendOnly Direction = 1
	RecvOnly Direction = 2
	SendRecv Direction = 3
)

// Codec is one payload format of a stream, with the payload type of the leg on which it stands.
type Codec struct {
	PayloadType uint8
	Name        string // as in the rtpmap; static types filled in
	Clock       int    // Hz
	Channels    int    // 1 where absent
	Format      string // fmtp value
}

// Fingerprint is a certificate's digest (RFC 8122).
type Fingerprint struct{ Algorithm, Value string } // "sha-256", "AB:CD:…"

// Candidate is an ICE candidate of ours.
type Candidate struct {
	Transport  string // "udp", "tcp" (passive)
	Addr       netip.AddrPort
	Priority   uint32
	Foundation string
}

// Local is our transport on a leg, as the media engine gives it.
type Local struct {
	// WebRTC
	Ufrag, Password string
	Fingerprint     Fingerprint
	Candidates      []Candidate
	// RTP: our address and the even RTP port of each relayed stream, RTCP one above.
	Addr  netip.Addr
	Ports []uint16
}

// Remote is the peer's transport on a leg, as its SDP says it. Plain value.
type Remote struct {
	// WebRTC
	Ufrag, Password string
	Fingerprints    []Fingerprint
	Setup           string // "active", "passive", "actpass": the peer's
	TLSID           string
	ICELite         bool
	Candidates      []Candidate // usable ones; .local passed over
	// RTP, one for each relayed stream
	Streams []RemoteStream
}

// RemoteStream is where a peer wants one stream.
type RemoteStream struct {
	RTP, RTCP netip.AddrPort // invalid where the peer gave none (0.0.0.0, port 9, rejected)
	Mux       bool           // rtcp-mux agreed
}

// PayloadTable maps payload types of one leg to the other's; 0xff drops.
type PayloadTable [128]uint8

// Plan is what the media engine obeys for two joined legs. Plain immutable value.
type Plan struct {
	Streams []PlannedStream
}

// PlannedStream is one relayed m-line. Index 0 is leg a of Join, 1 leg b.
type PlannedStream struct {
	Kind      string          // "audio"
	Payload   [2]PayloadTable // [0]: packets that come from leg 0
	Forward   [2]bool         // whether packets that come from leg 0 (1) are to be relayed, by both legs' directions
	Expect    [2]bool         // whether the peer of leg 0 (1) is to send now, by direction: liveness
	Codec     [2]Codec        // the preferred codec of each leg
	Telephone [2]Codec        // telephone-event at that codec's clock; Name empty where the leg has none
}

// Leg is one leg's half of the negotiation: what was heard and said. Plain value, safe to copy and to write as JSON;
// its methods give the changed copy.
type Leg struct {
	Profile   Profile
	Local     Local
	SessionID uint64
	Version   uint64
	Heard     *Description // the peer's latest accepted description
	Said      *Description // ours
	Pending   Pending      // whose offer is open
	Setup     string       // our DTLS role once decided: "passive" or "active"; kept by re-offers
}

// Pending says whose offer is open on a leg.
type Pending uint8

const (
	Stable Pending = iota
	HeardOffer
	SaidOffer
)

// Description is a parsed session description, reduced to what the bridge needs; m-lines keep their order.
type Description struct {
	Origin  string // the o= line's value
	ICELite bool
	Streams []Stream
}

// Stream is one m-line.
type Stream struct {
	Kind      string // "audio", "video", "application", …
	Protocol  string // "UDP/TLS/RTP/SAVPF", …
	Rejected  bool   // port 0 (and not bundle-only)
	MID       string
	Direction Direction // hold by c=0.0.0.0 counts as the direction that it means
	Codecs    []Codec
	Ptime     int
	Remote    RemoteStream
	ICE       Remote // WebRTC part
	SSRC      uint32
	Msid      string
}

// NewLeg starts a leg.
func NewLeg(profile Profile, local Local, sessionID uint64) Leg { panic("skeleton") }

// HearOffer and HearAnswer take the peer's text.
func (l Leg) HearOffer(text []byte) (Leg, error)  { panic("skeleton") }
func (l Leg) HearAnswer(text []byte) (Leg, error) { panic("skeleton") }

// Offer makes our offer on this leg from what the other leg heard (nil: everything that we relay, for a delayed offer).
// A repeated offer keeps m-line order, mids, payload types and DTLS role, and counts the version up.
func (l Leg) Offer(other *Description) (Leg, []byte, error) { panic("skeleton") }

// Answer makes our answer to the offer heard on this leg from what the other leg heard. ErrNotAcceptable where they
// share no codec. The first answer's ufrag, password, fingerprint and m-lines stay for the leg's life unless the peer
// restarts ICE and Local is renewed.
func (l Leg) Answer(other *Description) (Leg, []byte, error) { panic("skeleton") }

// Repeat is the latest text said, byte for byte (the 200 after the 183).
func (l Leg) Repeat() []byte { panic("skeleton") }

// Rollback forgets an open offer (RFC 3264 §4: a refused offer leaves the session as it was).
func (l Leg) Rollback() Leg { panic("skeleton") }

// Restarted says whether the offer just heard restarts ICE compared with before.
func (l Leg) Restarted(before Leg) bool { panic("skeleton") }

// Remote is the peer's transport by what was heard.
func (l Leg) Remote() Remote { panic("skeleton") }

// Held says whether the peer holds us: it will not receive.
func (l Leg) Held() bool { panic("skeleton") }

// Join plans the media between two legs. ErrNotAcceptable where no codec is shared.
func Join(a, b Leg) (Plan, error) { panic("skeleton") }
