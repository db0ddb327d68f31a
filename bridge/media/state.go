package media

import (
	"net/netip"

	"tandem/bridge/sdp"
)

// LegState is everything that lets a leg go on elsewhere: credentials, ports, keys, validated and learnt addresses. A plain
// value, safe to copy and to write as JSON; it holds keys, so guard it as one guards a password. The browser notices nothing
// where the same addresses can be bound again.
type LegState struct {
	Profile    sdp.Profile
	Local      sdp.Local
	Previous   Credentials // still valid beside Local's after a Restart; empty ufrag: none
	Remote     sdp.Remote
	AnswerSent bool
	Listen     netip.AddrPort // WebRTC: the local address of the nominated pair
	Pair       netip.AddrPort // WebRTC: the peer's; invalid before ICE is done
	SRTP       *SRTPState     // nil before DTLS is done
	Reached    netip.Addr     // WebRTC: the address of ours in that pair where Listen is a wildcard
	Streams    []StreamState  // RTP: one for each port pair
	Paths      []PathState    `json:",omitempty"` // what leaves towards the peer, by slot
}

// PathState is where a stream that leaves stands, and how the numbers of its source are mapped.
type PathState struct {
	Started      bool
	SSRC, Source uint32
	Sequence     uint16 // highest that left
	Timestamp    uint32
	Last, Offset uint16 // the source's highest, and what is added to it
	Shift        uint32 // what is added to its timestamps
}

// Credentials are one ICE generation's.
type Credentials struct{ Ufrag, Password string }

// SRTPState are the keys of one DTLS association, or a stream's by SDES, and where their streams stand (RFC 3711 §3.2.3).
type SRTPState struct {
	Profile               uint16 // the DTLS-SRTP profile's number (RFC 5764 §4.1.2, RFC 7714); 3: AES_256_CM_HMAC_SHA1_80
	LocalKey, LocalSalt   []byte
	RemoteKey, RemoteSalt []byte
	RemoteMKI             []byte          `json:",omitempty"` // SDES
	Fingerprint           sdp.Fingerprint // the peer's, as verified
	Sent, Received        []SSRCState
}

// SSRCState is the packet index of one source.
type SSRCState struct {
	SSRC      uint32
	RTP, RTCP bool   // which of the two it has sent
	Rollover  uint32 // ROC
	Sequence  uint16 // highest seen
	RTCPIndex uint32
}

// StreamState is where a stream of an RTP leg was learnt to come from.
type StreamState struct {
	RTP, RTCP      netip.AddrPort // invalid: not learnt yet
	SSRC, RTCPSSRC uint32
	Shared         bool       `json:",omitempty"` // its port is shared with other legs
	SRTP           *SRTPState `json:",omitempty"` // nil: no keys
	SRTCP          *SRTPState `json:",omitempty"` // of a DTLS association of its own; nil: SRTP's
}
