package sdp

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxCandidates bounds what one description may make us remember.
const maxCandidates = 64

// Candidate is an ICE candidate (RFC 8839 §5.1).
type Candidate struct {
	Transport  string // "udp", "tcp" (passive)
	Addr       netip.AddrPort
	Priority   uint32
	Foundation string
	Component  int `json:",omitempty"` // 1 or 0: RTP, 2: RTCP, on RTP legs without rtcp-mux
}

// hosts are our host candidates on an RTP leg: RTP at the port, RTCP one above it unless rtcp-mux was agreed.
func hosts(addr netip.Addr, port uint16, mux bool) []Candidate {
	const host = 126<<24 | 65535<<8 // RFC 8445 §5.1.2.1
	all := []Candidate{{"udp", netip.AddrPortFrom(addr, port), host | 255, "1", 1}}
	if !mux {
		all = append(all, Candidate{"udp", netip.AddrPortFrom(addr, port+1), host | 254, "1", 2})
	}
	return all
}

// candidate writes the attribute. Ours are of type host: the address is the gateway's own, NAT or not, for an ICE-lite
// agent knows no other (RFC 8445 §5.2).
func (w *writer) candidate(c Candidate) {
	w.say("a=candidate:").say(c.Foundation).say(" ").number(uint64(max(1, c.Component))).say(" ").say(c.Transport)
	w.say(" ").number(uint64(c.Priority)).say(" ")
	w.text = c.Addr.Addr().AppendTo(w.text)
	w.say(" ").number(uint64(c.Addr.Port())).say(" typ host")
	if c.Transport == "tcp" {
		w.say(" tcptype passive")
	}
	w.end()
}

// candidatesOf reads the usable candidates of a section: component 1, on RTP legs also 2, UDP, a numeric address. Host names (mDNS among
// them) are passed over and never resolved; so is TCP, where a browser only connects to us; so is what does not parse,
// for a candidate of a later kind must not cost the call (RFC 8839 §5.1: unknown ones are ignored).
func candidatesOf(s section, profile Profile) []Candidate {
	var all []Candidate
	for _, a := range s.attributes {
		if a.key != "candidate" || len(all) == maxCandidates {
			continue
		}
		if c, ok := parseCandidate(a.value); ok && (c.Component == 1 || profile == RTP) {
			all = append(all, c)
		}
	}
	return all
}

func parseCandidate(value string) (Candidate, bool) {
	f := words(value, make([]string, 8))
	if len(f) < 8 || f[1] != "1" && f[1] != "2" || !strings.EqualFold(f[2], "udp") || f[6] != "typ" {
		return Candidate{}, false
	}
	priority, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil {
		return Candidate{}, false
	}
	addr, err := netip.ParseAddr(f[4])
	if err != nil || addr.IsUnspecified() {
		return Candidate{}, false
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil || port == 0 {
		return Candidate{}, false
	}
	return Candidate{
		Transport: "udp", Addr: netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port)),
		Priority: uint32(priority), Foundation: f[0], Component: int(f[1][0] - '0'),
	}, true
}
