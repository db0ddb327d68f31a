package sdp

import (
	"fmt"
	"net/netip"
	"strings"
)

// textSize is room for a description of one stream without candidates; others grow.
const textSize = 512

// write is the text of a description of ours. Of header extensions and rtcp-fb lines there are those that mean something at
// the far end: the others' meaning ends at a hop (mid names this leg's m-line, ids differ per leg), and what is not negotiated
// is not sent. The direction never stands at session level, where SIP.js would find it first.
func write(profile Profile, d *Description) []byte {
	b := make([]byte, 0, textSize)
	line := func(format string, args ...any) { b = append(fmt.Appendf(b, format, args...), "\r\n"...) }
	line("v=0")
	line("o=%s", d.Origin)
	line("s=-")
	if profile == RTP {
		line("c=IN %s", family(d.address()))
	}
	line("t=0 0")
	if mids := d.mids(); mids != "" {
		line("a=group:BUNDLE%s", mids)
	}
	if profile == WebRTC {
		line("a=ice-lite")
		line("a=msid-semantic: WMS *")
	}
	for _, s := range d.Streams {
		switch {
		case s.Rejected:
			writeRejected(line, profile, s)
		case s.Kind == "image":
			writeFax(line, s)
		default:
			writeStream(line, profile, s)
		}
	}
	return b
}

// address is where the streams are; invalid where there is none.
func (d *Description) address() netip.Addr {
	if s := d.main(); s != nil {
		return s.Remote.RTP.Addr()
	}
	return netip.Addr{}
}

func writeRejected(line func(string, ...any), profile Profile, s Stream) {
	format := s.Format
	if format == "" {
		format = "0"
	}
	line("m=%s 0 %s %s", s.Kind, s.Protocol, format)
	if profile == WebRTC {
		line("c=IN IP4 0.0.0.0")
	}
	if s.MID != "" {
		line("a=mid:%s", s.MID)
	}
	if s.Map != "" {
		line("a=rtpmap:%s %s", format, s.Map) // pion/webrtc refuses a whole answer for a payload type without one
	}
	if s.Kind != "application" {
		line("a=inactive")
	}
}

func writeStream(line func(string, ...any), profile Profile, s Stream) {
	var types strings.Builder
	for _, c := range s.Codecs {
		fmt.Fprintf(&types, " %d", c.PayloadType)
	}
	port := uint16(9)
	if s.Remote.RTP.IsValid() {
		port = s.Remote.RTP.Port()
	}
	line("m=%s %d %s%s", s.Kind, port, s.Protocol, types.String())
	if profile == WebRTC {
		line("c=IN %s", family(s.Remote.RTP.Addr()))
	}
	for _, b := range s.Bandwidth {
		line("b=%s", b)
	}
	if s.MID != "" {
		line("a=mid:%s", s.MID)
	}
	for _, c := range s.Codecs {
		line("a=rtpmap:%d %s", c.PayloadType, c)
		if c.Format != "" {
			line("a=fmtp:%d %s", c.PayloadType, c.Format)
		}
	}
	writeFeedback(line, s)
	writeExtensions(line, s)
	if s.Ptime > 0 {
		line("a=ptime:%d", s.Ptime)
	}
	if s.MaxPtime > 0 {
		line("a=maxptime:%d", s.MaxPtime)
	}
	line("a=%s", s.Direction)
	if s.Remote.Mux {
		line("a=rtcp-mux")
	}
	if s.Reduced {
		line("a=rtcp-rsize")
	}
	if profile == WebRTC {
		writeICE(line, s)
	} else {
		writeSecurity(line, s)
	}
}

func writeICE(line func(string, ...any), s Stream) {
	line("a=ice-ufrag:%s", s.ICE.Ufrag)
	line("a=ice-pwd:%s", s.ICE.Password)
	for _, f := range s.ICE.Fingerprints {
		line("a=fingerprint:%s %s", f.Algorithm, f.Value)
	}
	line("a=setup:%s", s.ICE.Setup)
	if s.Msid != "" {
		line("a=msid:%s", s.Msid)
	}
	if s.SSRC != 0 {
		stream, _, _ := strings.Cut(s.Msid, " ")
		line("a=ssrc:%d cname:%s", s.SSRC, stream)
		line("a=ssrc:%d msid:%s", s.SSRC, s.Msid)
	}
	for _, c := range s.ICE.Candidates {
		line("a=candidate:%s", c)
	}
	line("a=end-of-candidates")
}

// family is an address with its type, as c= and o= lines have it.
func family(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "IP4 0.0.0.0"
	case addr.Is4() || addr.Is4In6():
		return "IP4 " + addr.Unmap().String()
	}
	return "IP6 " + addr.WithZone("").String()
}

// portPair is our RTP and RTCP address of one relayed stream.
func portPair(addr netip.Addr, port uint16, mux bool) RemoteStream {
	s := RemoteStream{RTP: netip.AddrPortFrom(addr, port), RTCP: netip.AddrPortFrom(addr, port+1), Mux: mux}
	if mux {
		s.RTCP = s.RTP
	}
	return s
}
