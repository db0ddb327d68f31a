package sdp

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// describe reduces a heard text to what the bridge needs, by the profile of its leg.
func describe(text []byte, profile Profile) (*Description, error) {
	doc, err := parse(text)
	if err != nil {
		return nil, err
	}
	d := &Description{Origin: doc.origin, ICELite: doc.session.has("ice-lite"), Streams: make([]Stream, len(doc.media))}
	bundle := doc.bundle()
	d.Bundle = bundle
	for i, s := range doc.media {
		if d.Streams[i], err = doc.stream(s, profile, bundle); err != nil {
			return nil, err
		}
	}
	d.keep()
	return d, nil
}

// bundle are the mids of the first BUNDLE group (RFC 8843 §7).
func (d document) bundle() []string {
	for _, a := range d.session.attributes {
		if a.key != "group" {
			continue
		}
		if f := strings.Fields(a.value); len(f) > 1 && f[0] == "BUNDLE" {
			return f[1:]
		}
	}
	return nil
}

// tagged is the section that carries the transport of the whole bundle, where the others leave it out (RFC 8843 §7.1.3).
func (d document) tagged(bundle []string) section {
	for _, s := range d.media {
		if mid, ok := s.get("mid"); ok && len(bundle) > 0 && mid == bundle[0] {
			return s
		}
	}
	return section{}
}

func (d document) stream(s section, profile Profile, bundle []string) (Stream, error) {
	f := words(s.media, make([]string, 3+maxFormats+1))
	if len(f) < 3 {
		return Stream{}, malformed(s.line, "m=%s: kind, port and protocol expected", s.media)
	}
	digits, _, _ := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return Stream{}, malformed(s.line, "m=%s: no such port", s.media)
	}
	if len(f)-3 > maxFormats {
		return Stream{}, malformed(s.line, "more than %d formats", maxFormats)
	}
	stream := Stream{Kind: f[0], Protocol: f[2]}
	if len(f) > 3 {
		stream.Format = f[3]
		stream.Map = s.rtpmap(f[3])
	}
	stream.MID, _ = s.get("mid")
	stream.Bundled = stream.MID != "" && slices.Contains(bundle, stream.MID)
	bundleOnly := profile == WebRTC && stream.Bundled && s.has("bundle-only")
	stream.Rejected = port == 0 && !bundleOnly
	stream.Follows = port == 0 && bundleOnly
	if stream.Rejected || slotOf(stream.Kind) < 0 {
		return stream, nil
	}
	whole := stream
	if err = d.detail(&whole, s, f[3:], uint16(port), profile, bundle); err != nil && stream.Kind != "audio" {
		return stream, nil // refused, which costs no call
	}
	return whole, err
}

// detail fills in what only a stream that may be relayed needs.
func (d document) detail(stream *Stream, s section, formats []string, port uint16, profile Profile, bundle []string) (err error) {
	if stream.Kind == "image" {
		return d.fax(stream, s, port)
	}
	if !profile.speaks(stream.Protocol) {
		return nil
	}
	if stream.Codecs, err = codecsOf(s, formats); err != nil {
		return err
	}
	stream.Feedback = feedbackOf(s)
	if stream.Kind == "video" {
		stream.Bandwidth = bandwidthOf(s)
	}
	if extended(stream.Protocol) {
		stream.Extension = extensionsOf(s, d.session)
	}
	return d.packets(stream, s, port, profile, bundle)
}

// packets fills in what a stream of RTP packets has.
func (d document) packets(stream *Stream, s section, port uint16, profile Profile, bundle []string) error {
	var ok bool
	if stream.Direction, ok = directionOf(s); !ok {
		stream.Direction, _ = directionOf(d.session)
	}
	stream.Ptime, stream.MaxPtime = number10(s, "ptime", 1000), number10(s, "maxptime", 1000)
	stream.Reduced = s.has("rtcp-rsize")
	stream.Msid, _ = s.get("msid")
	if value, ok := s.get("ssrc"); ok {
		id, _, _ := strings.Cut(value, " ")
		ssrc, _ := strconv.ParseUint(id, 10, 32)
		stream.SSRC = uint32(ssrc)
	}
	black, err := d.locate(stream, s, port)
	if err != nil {
		return err
	}
	stream.Remote.Ptime = stream.ptime()
	if err := d.security(stream, s, profile, bundle); err != nil || profile == WebRTC {
		return err
	}
	if black { // RFC 2543 hold: "send me nothing" (RFC 3264 §8.4)
		stream.Direction &^= RecvOnly
	}
	return nil
}

// locate reads where the peer wants the stream; black says that it must not be sent there.
func (d document) locate(stream *Stream, s section, port uint16) (black bool, err error) {
	connection, line := s.connection, s.connectionLine
	if connection == "" {
		connection, line = d.session.connection, d.session.connectionLine
	}
	if connection == "" {
		return false, malformed(s.line, "no c= line for m=%s", s.media)
	}
	addr, black, err := address(connection, line)
	if err == nil {
		stream.Remote = endpoints(s, addr, port)
	}
	return black, err
}

// number10 is a decimal attribute's value up to a maximum, 0 where it is absent or noise.
func number10(s section, key string, most uint64) int {
	value, ok := s.get(key)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n > most {
		return 0
	}
	return int(n)
}

// address reads a c= line. A host name is legal and never resolved: the address stays invalid, to be learnt from packets.
// black is the address that nothing may be sent to: 0.0.0.0, ::, or a name under .invalid (RFC 6157 §4.2).
func address(connection string, line int) (addr netip.Addr, black bool, err error) {
	f := words(connection, make([]string, 3))
	if len(f) < 3 || f[0] != "IN" {
		return addr, false, malformed(line, "c=%s: IN, IP4 or IP6 and an address expected", connection)
	}
	host, _, _ := strings.Cut(f[2], "/")
	addr, err = netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, strings.HasSuffix(host, ".invalid"), nil
	}
	addr = addr.Unmap().WithZone("")
	if addr.IsUnspecified() {
		return netip.Addr{}, true, nil
	}
	return addr, false, nil
}

// endpoints are the RTP and the RTCP address of a stream; RTCP is one port above unless a=rtcp (RFC 3605) says otherwise.
func endpoints(s section, addr netip.Addr, port uint16) RemoteStream {
	r := RemoteStream{Mux: s.has("rtcp-mux")}
	if !addr.IsValid() || port == 0 || port == 9 {
		return r
	}
	r.RTP = netip.AddrPortFrom(addr, port)
	if port < 65535 {
		r.RTCP = netip.AddrPortFrom(addr, port+1)
	}
	value, _ := s.get("rtcp")
	if f := words(value, make([]string, 4)); len(f) > 0 {
		port, err := strconv.ParseUint(f[0], 10, 16)
		if err != nil || port == 0 {
			return r
		}
		if len(f) >= 4 {
			if other, black, err := address(strings.Join(f[1:], " "), s.line); err == nil && !black && other.IsValid() {
				addr = other
			}
		}
		r.RTCP = netip.AddrPortFrom(addr, uint16(port))
	}
	return r
}

// ice reads the DTLS and ICE part of a stream's transport from the first section that has each attribute: the stream's own, the
// bundle's tagged one, the session's.
func ice(sections []section, profile Profile) (Transport, error) {
	first := func(key string) string {
		for _, s := range sections {
			if value, ok := s.get(key); ok {
				return value
			}
		}
		return ""
	}
	r := Transport{
		Ufrag: first("ice-ufrag"), Password: first("ice-pwd"), Setup: first("setup"), TLSID: first("tls-id"),
		ICELite: sections[len(sections)-1].has("ice-lite"),
	}
	for _, s := range sections {
		prints, err := fingerprintsOf(s)
		if err != nil {
			return r, err
		}
		if len(r.Fingerprints) == 0 {
			r.Fingerprints = prints
		}
		if len(r.Candidates) == 0 {
			r.Candidates = candidatesOf(s, profile)
		}
	}
	switch r.Setup {
	case "", "active", "passive", "actpass":
		return r, nil
	}
	return r, malformed(sections[0].line, "a=setup:%s: active, passive or actpass expected", r.Setup)
}

// fingerprintsOf are the fingerprints of a section; a certificate that matches one of them is the peer's (RFC 8122 §5).
func fingerprintsOf(s section) ([]Fingerprint, error) {
	var all []Fingerprint
	for _, a := range s.attributes {
		if a.key != "fingerprint" || len(all) == 16 {
			continue
		}
		f := words(a.value, make([]string, 3))
		if len(f) != 2 {
			return nil, malformed(a.line, "a=fingerprint:%s: algorithm and digest expected", a.value)
		}
		all = append(all, Fingerprint{strings.ToLower(f[0]), strings.ToUpper(f[1])})
	}
	return all, nil
}

// codecsOf reads the payload formats of an audio m-line in its order. A dynamic type without rtpmap keeps an empty Name.
func codecsOf(s section, formats []string) ([]Codec, error) {
	var place [128]uint8 // index in all + 1
	all := make([]Codec, 0, len(formats))
	for _, f := range formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			return nil, malformed(s.line, "%q is no payload type", f)
		}
		if place[n] == 0 {
			all = append(all, static(uint8(n)))
			place[n] = uint8(len(all))
		}
	}
	var mapped [128]bool
	for _, a := range s.attributes {
		if a.key != "rtpmap" && a.key != "fmtp" {
			continue
		}
		id, value, _ := strings.Cut(a.value, " ")
		n, err := strconv.ParseUint(id, 10, 7)
		if err != nil || place[n] == 0 {
			continue // of a format that the m-line does not have
		}
		c := &all[place[n]-1]
		if a.key == "fmtp" {
			c.Format = strings.TrimSpace(value)
			continue
		}
		if mapped[n] {
			continue
		}
		mapped[n] = true
		if err := c.rtpmap(value); err != nil {
			return nil, malformed(a.line, "a=rtpmap:%s: %s", a.value, err)
		}
	}
	return all, nil
}
