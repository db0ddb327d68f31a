package sdp

// Slot is a stream's place among those that a leg carries, the same on both legs of a call: one of each kind.
type Slot = int

const (
	Audio Slot = iota
	Video
	Image // T.38 over UDPTL, between RTP legs only
	Slots // how many there are
)

// kinds are the slots' m-lines.
func kinds() [Slots]string { return [Slots]string{"audio", "video", "image"} }

// slotOf is the slot of an m-line's kind; -1: the bridge never carries it.
func slotOf(kind string) Slot {
	switch kind {
	case "audio":
		return Audio
	case "video":
		return Video
	case "image":
		return Image
	}
	return -1
}

// Keying is how the packets of an RTP leg's stream are protected. A WebRTC leg's are always by DTLS.
type Keying uint8

const (
	Plain Keying = iota // RTP/AVP
	SDES                // RTP/SAVP with a=crypto (RFC 4568), or RTP/AVP with a=crypto (OSRTP, RFC 8643)
	DTLS                // UDP/TLS/RTP/SAVP with a=fingerprint and a=setup (RFC 5763)
)

// String is for logs and records.
func (k Keying) String() string { return [...]string{"plain", "sdes", "dtls"}[min(k, DTLS)] }

// Crypto is one a=crypto attribute (RFC 4568 §9.1).
type Crypto struct {
	Tag   int
	Suite string // AES_CM_128_HMAC_SHA1_80 or _32, AES_256_CM_HMAC_SHA1_80 or _32, AEAD_AES_128_GCM, AEAD_AES_256_GCM
	Key   []byte // master key, then master salt
	MKI   []byte `json:",omitempty"` // the master key identifier that each packet of the peer's carries; ours carry none
	Alias string `json:",omitempty"` // the suite as the peer spells it, where otherwise
}

// Policy is what a leg asks of its peer and takes from it. The zero value is plain RTP with what is there: a peer that offers
// keys is given ours wherever Local has any (Crypto for SDES, Fingerprint for DTLS), and ICE wherever Local has a Ufrag. Of
// several keyings in one m-line the policy's is taken, else DTLS before SDES before none.
type Policy struct {
	Keying    Keying // of our offers on an RTP leg
	Optional  bool   // with a Keying: offered on RTP/AVP, so that a peer without it answers plain (OSRTP, RFC 8643)
	Required  bool   // a peer's plain offer or answer is refused; Optional then says no more than the profile of our offers
	ICE       bool   // our offers on an RTP leg carry ICE
	Video     bool   // video is carried where both sides want it
	Transcode bool   // our offers name further codecs that we convert, and answers need none in common
}
