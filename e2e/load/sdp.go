package load

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

const browserOpus = 111 // Chromium's number

// offerText is what Chromium 156 offers for audio.
const offerText = `v=0
o=- %[1]d 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio %[3]d UDP/TLS/RTP/SAVPF %[4]s 110 126
c=IN IP4 %[2]s
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 %[2]s %[3]d typ host generation 0 network-id 1
a=ice-ufrag:%[5]s
a=ice-pwd:%[6]s
a=ice-options:trickle
a=fingerprint:sha-256 %[7]s
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:9 G722/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:%[8]d cname:tandem
a=ssrc:%[8]d msid:stream track
`

// offer is the browser's SDP; its codec stands first.
func (s *Session) offer() string {
	formats := "0 8 111"
	switch {
	case s.ends.converted():
		formats = "111"
	case s.ends.Browser == Opus:
		formats = "111 0 8"
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	text := fmt.Sprintf(offerText, binary.BigEndian.Uint64(id[:])>>2, s.BrowserAddr().Addr(), s.BrowserAddr().Port(), formats,
		s.ufrag, s.password, s.generator.identity.fingerprint, s.up.ssrc)
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// Describe does offer and answer with a gateway without SIP: exchange gives it the browser's offer and gets the offer to the phone,
// then gives it the phone's answer and gets the answer to the browser.
func (s *Session) Describe(exchange func(text string) (string, error)) error {
	offered, err := exchange(s.offer())
	if err != nil {
		return err
	}
	answer, err := s.hearOffer([]byte(offered))
	if err != nil {
		return err
	}
	answered, err := exchange(answer)
	if err != nil {
		return err
	}
	return s.hearAnswer([]byte(answered))
}

// hearAnswer takes the gateway's answer to the browser.
func (s *Session) hearAnswer(text []byte) error {
	d, m, err := audio(text)
	if err != nil {
		return err
	}
	attribute := func(key string) string {
		if v, ok := m.Attribute(key); ok {
			return v
		}
		v, _ := d.Attribute(key)
		return v
	}
	s.remote.ufrag, s.remote.password = attribute("ice-ufrag"), attribute("ice-pwd")
	if setup := attribute("setup"); setup != "passive" {
		return fmt.Errorf("load: answer says a=setup:%s, not passive", setup)
	}
	for _, a := range m.Attributes {
		f := strings.Fields(a.Value)
		if a.Key != "candidate" || len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
			continue
		}
		if at, err := netip.ParseAddrPort(f[4] + ":" + f[5]); err == nil && at.Addr().Is4() {
			s.remote.addr = rawAddr(at)
			break
		}
	}
	if s.remote.ufrag == "" || s.remote.addr.Port == 0 {
		return fmt.Errorf("load: answer without credentials or candidate:\n%s", text)
	}
	s.up.payloadType, err = s.ends.Browser.number(m)
	return err
}

// hearOffer takes the gateway's offer to the phone, and gives the phone's answer.
func (s *Session) hearOffer(text []byte) (answer string, err error) {
	d, m, err := audio(text)
	if err != nil {
		return "", err
	}
	connection := d.ConnectionInformation
	if m.ConnectionInformation != nil {
		connection = m.ConnectionInformation
	}
	if connection == nil || connection.Address == nil {
		return "", fmt.Errorf("load: offer without connection:\n%s", text)
	}
	addr, err := netip.ParseAddr(connection.Address.Address)
	if err != nil {
		return "", fmt.Errorf("load: offer's connection: %w", err)
	}
	number, err := s.ends.Phone.number(m)
	if err != nil {
		return "", err
	}
	s.phone = rawAddr(netip.AddrPortFrom(addr, uint16(m.MediaName.Port.Value)))
	s.phoneRTCP = rtcpAddr(s.phone, m)
	s.down.payloadType = number
	s.invited.Store(true)
	at := s.PhoneAddr()
	formats, events := strconv.Itoa(int(number)), ""
	if event, ok := telephoneEvent(m); ok { // what PBXs answer; without it a gateway has to listen for tones
		formats += " " + event
		events = "a=rtpmap:" + event + " telephone-event/8000\r\n"
	}
	return fmt.Sprintf("v=0\r\no=- %d 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\na=rtpmap:%d %s\r\n%sa=ptime:20\r\na=sendrecv\r\n",
		s.number, at.Addr(), at.Addr(), at.Port(), formats, number, s.ends.Phone.rtpmap(), events), nil
}

// telephoneEvent is the payload type of RFC 4733 events at 8000 Hz.
func telephoneEvent(m *sdp.MediaDescription) (number string, ok bool) {
	for _, a := range m.Attributes {
		number, name, _ := strings.Cut(a.Value, " ")
		if a.Key == "rtpmap" && strings.EqualFold(name, "telephone-event/8000") {
			return number, true
		}
	}
	return "", false
}

func audio(text []byte) (*sdp.SessionDescription, *sdp.MediaDescription, error) {
	d := &sdp.SessionDescription{}
	if err := d.Unmarshal(text); err != nil {
		return nil, nil, fmt.Errorf("load: SDP: %w", err)
	}
	if len(d.MediaDescriptions) == 0 || d.MediaDescriptions[0].MediaName.Port.Value == 0 {
		return nil, nil, fmt.Errorf("load: SDP without audio:\n%s", text)
	}
	return d, d.MediaDescriptions[0], nil
}

// number is the codec's payload type in an m-line.
func (c Codec) number(m *sdp.MediaDescription) (uint8, error) {
	for _, a := range m.Attributes {
		number, name, _ := strings.Cut(a.Value, " ")
		if a.Key == "rtpmap" && strings.EqualFold(name, c.rtpmap()) && slices.Contains(m.MediaName.Formats, number) {
			n, err := strconv.ParseUint(number, 10, 7)
			return uint8(n), err
		}
	}
	if number, ok := c.static(); ok && slices.Contains(m.MediaName.Formats, number) {
		n, err := strconv.ParseUint(number, 10, 7)
		return uint8(n), err
	}
	return 0, fmt.Errorf("load: the codec was not negotiated: %v", m.MediaName.Formats)
}
