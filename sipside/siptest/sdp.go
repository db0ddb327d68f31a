package siptest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// session is what this package understands of an SDP.
type session struct {
	addr      netip.Addr // c= of the session
	direction string
	media     []section
}

// section is one m-line with its attributes.
type section struct {
	kind, proto string
	port        int
	formats     []string
	addr        netip.Addr // c= of the section
	direction   string
	rtcp        int               // a=rtcp, 0 without
	rtpmap      map[string]string // by format, "PCMU/8000"
	fmtp        map[string]string
	ptime       string
}

func parseSDP(text string) (session, error) {
	var s session
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		kind, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		switch kind {
		case "c":
			s.connection(value)
		case "m":
			m, err := parseSection(value)
			if err != nil {
				return s, err
			}
			s.media = append(s.media, m)
		case "a":
			s.attribute(value)
		}
	}
	if len(s.media) == 0 {
		return s, fmt.Errorf("siptest: SDP without m-line")
	}
	return s, nil
}

func parseSection(value string) (section, error) {
	f := strings.Fields(value)
	if len(f) < 4 {
		return section{}, fmt.Errorf("siptest: m-line %q", value)
	}
	port, err := strconv.Atoi(f[1])
	if err != nil || port < 0 || port > 65535 {
		return section{}, fmt.Errorf("siptest: port in m-line %q", value)
	}
	return section{kind: f[0], port: port, proto: f[2], formats: f[3:], rtpmap: map[string]string{}, fmtp: map[string]string{}}, nil
}

func (s *session) connection(value string) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return
	}
	addr, err := netip.ParseAddr(f[2])
	if err != nil {
		return
	}
	if len(s.media) == 0 {
		s.addr = addr
	} else {
		s.media[len(s.media)-1].addr = addr
	}
}

func (s *session) attribute(value string) {
	name, rest, _ := strings.Cut(value, ":")
	if len(s.media) == 0 {
		if isDirection(name) {
			s.direction = name
		}
		return
	}
	m := &s.media[len(s.media)-1]
	format, what, _ := strings.Cut(rest, " ")
	switch {
	case isDirection(name):
		m.direction = name
	case name == "rtpmap":
		m.rtpmap[format] = what
	case name == "fmtp":
		m.fmtp[format] = what
	case name == "ptime":
		m.ptime = rest
	case name == "rtcp":
		m.rtcp, _ = strconv.Atoi(format)
	}
}

func isDirection(s string) bool {
	return slices.Contains([]string{"sendrecv", "sendonly", "recvonly", "inactive"}, s)
}

// audio is the first audio section with a port, -1 where there is none.
func (s *session) audio() int {
	return slices.IndexFunc(s.media, func(m section) bool { return m.kind == "audio" && m.port != 0 })
}

// address is where a section wants its RTP.
func (s *session) address(i int) netip.AddrPort {
	addr := s.media[i].addr
	if !addr.IsValid() {
		addr = s.addr
	}
	return netip.AddrPortFrom(addr, uint16(s.media[i].port))
}

// directionOf is the section's direction as its author means it; c=0.0.0.0 is hold as RFC 2543 wrote it.
func (s *session) directionOf(i int) string {
	direction := s.media[i].direction
	if direction == "" {
		direction = s.direction
	}
	if direction == "" {
		direction = "sendrecv"
	}
	if s.address(i).Addr() == netip.IPv4Unspecified() {
		return map[string]string{"sendrecv": "sendonly", "recvonly": "inactive"}[direction]
	}
	return direction
}

// mirrored is the answer to a direction (RFC 3264 §6.1).
func mirrored(direction string) string {
	switch direction {
	case "sendonly":
		return "recvonly"
	case "recvonly":
		return "sendonly"
	case "inactive":
		return "inactive"
	}
	return "sendrecv"
}

// encoding is the format's name and clock, also for static types without rtpmap (RFC 3551 §6).
func (m *section) encoding(format string) string {
	if e := m.rtpmap[format]; e != "" {
		return e
	}
	return map[string]string{"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "13": "CN/8000", "18": "G729/8000", "3": "GSM/8000"}[format]
}

func (m *section) find(encoding string) string {
	for _, f := range m.formats {
		if strings.EqualFold(strings.TrimSuffix(m.encoding(f), "/1"), encoding) {
			return f
		}
	}
	return ""
}
