package load

// Codec is what an end sends, one packet for 20 ms.
type Codec int

// The codecs: G.711 and G.722 in packets of 172 bytes, Opus in packets of 92 where the gateway is not to look inside.
const (
	PCMU Codec = iota
	Opus
	G722
)

// Ends are the codecs of a session's two ends. Where they differ the gateway has to convert.
type Ends struct{ Browser, Phone Codec }

// Both is a session whose ends speak the same codec, so that what one sends is what the other hears.
func Both(c Codec) Ends { return Ends{c, c} }

func (e Ends) converted() bool { return e.Browser != e.Phone }

// Voices are the payloads that an end sends, again and again, where they are converted: 20 ms each.
type Voices map[Codec][][]byte

// rtpmap is the codec's name in SDP.
func (c Codec) rtpmap() string {
	switch c {
	case Opus:
		return "opus/48000/2"
	case G722:
		return "G722/8000" // RFC 3551 §4.5.2
	}
	return "PCMU/8000"
}

// static is the payload type that needs no rtpmap (RFC 3551 §6).
func (c Codec) static() (number string, ok bool) {
	switch c {
	case PCMU:
		return "0", true
	case G722:
		return "9", true
	}
	return "", false
}

// payload is the size of a payload that is not looked into.
func (c Codec) payload() int {
	if c == Opus {
		return 80
	}
	return 160
}

// step is by how much the codec's time stamp grows in a packet.
func (c Codec) step() uint32 {
	if c == Opus {
		return 960
	}
	return 160
}
