package sdp

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
)

// textSize is room for a description of one stream without candidates; others grow.
const textSize = 512

// writer appends to a text. Its methods give it back, so that a line is one chain.
type writer struct{ text []byte }

func (w *writer) say(s string) *writer {
	w.text = append(w.text, s...)
	return w
}

func (w *writer) number(n uint64) *writer {
	w.text = strconv.AppendUint(w.text, n, 10)
	return w
}

// family is an address with its type, as c= and o= lines have it.
func (w *writer) family(addr netip.Addr) *writer {
	switch {
	case !addr.IsValid():
		return w.say("IP4 0.0.0.0")
	case addr.Is4() || addr.Is4In6():
		w.text = addr.Unmap().AppendTo(append(w.text, "IP4 "...))
	default:
		w.text = addr.WithZone("").AppendTo(append(w.text, "IP6 "...))
	}
	return w
}

func (w *writer) end() { w.text = append(w.text, "\r\n"...) }

// write is the text of a description of ours. Of header extensions and rtcp-fb lines there are those that mean something at
// the far end: the others' meaning ends at a hop (mid names this leg's m-line, ids differ per leg), and what is not negotiated
// is not sent. The direction never stands at session level, where SIP.js would find it first.
func write(profile Profile, d *Description) []byte {
	w := &writer{make([]byte, 0, textSize)}
	w.say("v=0").end()
	w.say("o=").say(d.Origin).end()
	w.say("s=-").end()
	if profile == RTP {
		w.say("c=IN ").family(d.address()).end()
	}
	w.say("t=0 0").end()
	if mids := d.mids(); mids != "" {
		w.say("a=group:BUNDLE").say(mids).end()
	}
	if profile == WebRTC {
		w.say("a=ice-lite").end()
		w.say("a=msid-semantic: WMS *").end()
	}
	for i := range d.Streams {
		switch s := &d.Streams[i]; {
		case s.Rejected:
			w.rejected(profile, s)
		case s.Kind == "image":
			w.fax(s)
		default:
			w.stream(profile, s)
		}
	}
	return w.text
}

// address is where the streams are; invalid where there is none.
func (d *Description) address() netip.Addr {
	if s := d.main(); s != nil {
		return s.Remote.RTP.Addr()
	}
	return netip.Addr{}
}

func (w *writer) rejected(profile Profile, s *Stream) {
	format := cmp.Or(s.Format, "0")
	w.say("m=").say(s.Kind).say(" 0 ").say(s.Protocol).say(" ").say(format).end()
	if profile == WebRTC {
		w.say("c=IN IP4 0.0.0.0").end()
	}
	if s.MID != "" {
		w.say("a=mid:").say(s.MID).end()
	}
	if s.Map != "" {
		w.say("a=rtpmap:").say(format).say(" ").say(s.Map).end() // pion/webrtc refuses a whole answer for a payload type without one
	}
	if s.Kind != "application" {
		w.say("a=inactive").end()
	}
}

func (w *writer) stream(profile Profile, s *Stream) {
	port := uint16(9)
	if s.Remote.RTP.IsValid() {
		port = s.Remote.RTP.Port()
	}
	w.say("m=").say(s.Kind).say(" ").number(uint64(port)).say(" ").say(s.Protocol)
	for _, c := range s.Codecs {
		w.say(" ").number(uint64(c.PayloadType))
	}
	w.end()
	if profile == WebRTC {
		w.say("c=IN ").family(s.Remote.RTP.Addr()).end()
	}
	for _, b := range s.Bandwidth {
		w.say("b=").say(b).end()
	}
	if s.MID != "" {
		w.say("a=mid:").say(s.MID).end()
	}
	for _, c := range s.Codecs {
		w.codec(c)
	}
	w.feedback(s)
	w.extensions(s)
	if s.Ptime > 0 {
		w.say("a=ptime:").number(uint64(s.Ptime)).end()
	}
	if s.MaxPtime > 0 {
		w.say("a=maxptime:").number(uint64(s.MaxPtime)).end()
	}
	w.say("a=").say(s.Direction.String()).end()
	if s.Remote.Mux {
		w.say("a=rtcp-mux").end()
	}
	if s.Reduced {
		w.say("a=rtcp-rsize").end()
	}
	if profile == WebRTC {
		w.ice(s)
	} else {
		w.security(s)
	}
}

func (w *writer) codec(c Codec) {
	w.say("a=rtpmap:").number(uint64(c.PayloadType)).say(" ").say(c.Name).say("/").number(uint64(c.Clock))
	if c.Channels > 1 {
		w.say("/").number(uint64(c.Channels))
	}
	w.end()
	if c.Format != "" {
		w.say("a=fmtp:").number(uint64(c.PayloadType)).say(" ").say(c.Format).end()
	}
}

func (w *writer) ice(s *Stream) {
	w.say("a=ice-ufrag:").say(s.ICE.Ufrag).end()
	w.say("a=ice-pwd:").say(s.ICE.Password).end()
	w.fingerprints(s)
	w.say("a=setup:").say(s.ICE.Setup).end()
	if s.Msid != "" {
		w.say("a=msid:").say(s.Msid).end()
	}
	if s.SSRC != 0 {
		stream, _, _ := strings.Cut(s.Msid, " ")
		w.say("a=ssrc:").number(uint64(s.SSRC)).say(" cname:").say(stream).end()
		w.say("a=ssrc:").number(uint64(s.SSRC)).say(" msid:").say(s.Msid).end()
	}
	for _, c := range s.ICE.Candidates {
		w.candidate(c)
	}
	w.say("a=end-of-candidates").end()
}

func (w *writer) fingerprints(s *Stream) {
	for _, f := range s.ICE.Fingerprints {
		w.say("a=fingerprint:").say(f.Algorithm).say(" ").say(f.Value).end()
	}
}

// portPair is our RTP and RTCP address of one relayed stream.
func portPair(addr netip.Addr, port uint16, mux bool) RemoteStream {
	s := RemoteStream{RTP: netip.AddrPortFrom(addr, port), RTCP: netip.AddrPortFrom(addr, port+1), Mux: mux}
	if mux {
		s.RTCP = s.RTP
	}
	return s
}
