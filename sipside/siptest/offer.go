package siptest

import (
	"fmt"
	"net/netip"
	"strings"
)

// Offer is SDP with PCMU, PCMA and telephone-event; direction "sendrecv", "sendonly", "recvonly" or "inactive". Each SDP
// of one Media raises the version in its o= line.
func (m *Media) Offer(direction string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	m.head(&b)
	fmt.Fprintf(&b, "m=audio %d RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"+
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=%s\r\n", m.addr.Port(), direction)
	m.mayTalk = strings.HasPrefix(direction, "send")
	return b.String()
}

// head writes the session part. Called with mu held.
func (m *Media) head(b *strings.Builder) {
	m.version++
	family := "IP4"
	if m.addr.Addr().Is6() {
		family = "IP6"
	}
	fmt.Fprintf(b, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", m.id, m.version, family, m.addr.Addr(), family, m.addr.Addr())
}

// Answer answers an offer: with its first codec that a voice knows, or its very first where the Media echoes, and with
// telephone-event; further m-lines are rejected. From now on packets go to the offer's address.
func (m *Media) Answer(offer string) (string, error) {
	return m.answer(offer, "sendrecv")
}

// AnswerAs answers like Answer, but wants no more than direction itself ("inactive" to refuse media for a while).
func (m *Media) AnswerAs(offer, direction string) (string, error) {
	return m.answer(offer, direction)
}

func (m *Media) answer(offer, own string) (string, error) {
	s, err := parseSDP(offer)
	if err != nil {
		return "", err
	}
	at := s.audio()
	if at < 0 {
		return "", fmt.Errorf("siptest: no audio in the offer")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	audio := &s.media[at]
	format := m.choose(audio)
	if format == "" {
		return "", fmt.Errorf("siptest: no codec in common with %v", audio.formats)
	}
	direction := both(mirrored(s.directionOf(at)), own)
	m.agree(&s, at, format, direction)
	var b strings.Builder
	m.head(&b)
	for i := range s.media {
		other := &s.media[i]
		if i != at {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", other.kind, other.proto, strings.Join(other.formats, " "))
			continue
		}
		formats := []string{format}
		if m.events != "" {
			formats = append(formats, m.events)
		}
		fmt.Fprintf(&b, "m=audio %d %s %s\r\n", m.addr.Port(), audio.proto, strings.Join(formats, " "))
		for _, f := range formats {
			fmt.Fprintf(&b, "a=rtpmap:%s %s\r\n", f, audio.encoding(f))
			if audio.fmtp[f] != "" {
				fmt.Fprintf(&b, "a=fmtp:%s %s\r\n", f, audio.fmtp[f])
			}
		}
		fmt.Fprintf(&b, "a=ptime:20\r\na=%s\r\n", direction)
	}
	return b.String(), nil
}

// Connect takes the other side's answer: packets go there.
func (m *Media) Connect(answer string) error {
	s, err := parseSDP(answer)
	if err != nil {
		return err
	}
	at := s.audio()
	if at < 0 {
		return fmt.Errorf("siptest: audio was rejected")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	audio := &s.media[at]
	format := m.choose(audio)
	if format == "" {
		return fmt.Errorf("siptest: answered with %v", audio.formats)
	}
	m.agree(&s, at, format, mirrored(s.directionOf(at)))
	return nil
}

// choose picks the payload type to talk in. Called with mu held.
func (m *Media) choose(audio *section) string {
	for _, f := range audio.formats {
		encoding := strings.TrimSuffix(audio.encoding(f), "/1")
		name, _, _ := strings.Cut(strings.ToLower(encoding), "/")
		switch {
		case encoding == "" || name == "telephone-event" || name == "cn" || name == "red":
		case m.echo || lawOf(strings.ToUpper(encoding)) != nil:
			return f
		}
	}
	return ""
}

// agree settles codec, addresses and direction. Called with mu held.
func (m *Media) agree(s *session, at int, format, direction string) {
	audio := &s.media[at]
	encoding := strings.ToUpper(strings.TrimSuffix(audio.encoding(format), "/1"))
	m.format, m.law = format, lawOf(encoding)
	_, clock, _ := strings.Cut(encoding, "/")
	clock, _, _ = strings.Cut(clock, "/")
	m.events = audio.find("telephone-event/" + clock)
	to := s.address(at)
	if to.Addr().IsValid() && !to.Addr().IsUnspecified() {
		m.remote = to
		m.rtcpTo = netip.AddrPortFrom(to.Addr(), to.Port()+1)
		if audio.rtcp > 0 {
			m.rtcpTo = netip.AddrPortFrom(to.Addr(), uint16(audio.rtcp))
		}
	}
	m.mayTalk = strings.HasPrefix(direction, "send")
}

// both is what two directions of the same side allow together.
func both(a, b string) string {
	send := strings.HasPrefix(a, "send") && strings.HasPrefix(b, "send")
	receive := receives(a) && receives(b)
	switch {
	case send && receive:
		return "sendrecv"
	case send:
		return "sendonly"
	case receive:
		return "recvonly"
	}
	return "inactive"
}

func receives(direction string) bool { return direction == "sendrecv" || direction == "recvonly" }
