package sdp

import (
	"fmt"
	"strings"
	"testing"
)

func planText(p Plan) string {
	var b strings.Builder
	for _, s := range p.Streams {
		fmt.Fprintf(&b, "%s\n", s.Kind)
		for i, arrow := range []string{"a→b", "b→a"} {
			fmt.Fprintf(&b, "%s forward=%t expect=%t", arrow, s.Forward[i], s.Expect[i])
			if s.Reoffer[i] {
				b.WriteString(" reoffer")
			}
			if s.Transcode {
				fmt.Fprintf(&b, " converts %d", s.From[i])
			}
			if e := s.EventFrom[i]; e != Drop && s.Payload[i][e] == Drop && s.Telephone[1-i].Name != "" {
				fmt.Fprintf(&b, " events %d anew", e)
			}
			if s.Feedback[i] != 0 {
				fmt.Fprintf(&b, " feedback %05b", s.Feedback[i])
			}
			for from, to := range s.Extension[i] {
				if to != 0 {
					fmt.Fprintf(&b, " extension %d→%d", from, to)
				}
			}
			for from, to := range s.Payload[i] {
				if to != Drop {
					fmt.Fprintf(&b, " %d→%d", from, to)
				}
			}
			b.WriteString("\n")
		}
		for i, leg := range []string{"a", "b"} {
			fmt.Fprintf(&b, "%s codec %d %s, telephone %d %s",
				leg, s.Codec[i].PayloadType, s.Codec[i], s.Telephone[i].PayloadType, s.Telephone[i])
			if s.Transcode {
				fmt.Fprintf(&b, ", ptime %d", s.Ptime[i])
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func stateText(l Leg) string {
	var b strings.Builder
	r := l.Remote()
	fmt.Fprintf(&b, "pending=%d setup=%q held=%t version=%d\n", l.Pending, l.Setup, l.Held(), l.Version)
	if l.Before != nil {
		fmt.Fprintf(&b, "restarted=%t alters=%t\n", l.Restarted(*l.Before), l.Alters(*l.Before))
	}
	if l.Profile == WebRTC {
		fmt.Fprintf(&b, "ice %s %s lite=%t setup=%s\n", r.Ufrag, r.Password, r.ICELite, r.Setup)
		for _, f := range r.Fingerprints {
			fmt.Fprintf(&b, "fingerprint %s %s\n", f.Algorithm, f.Value)
		}
		for _, c := range r.Candidates {
			fmt.Fprintf(&b, "candidate %s %s %d\n", c.Transport, c.Addr, c.Priority)
		}
	}
	for _, s := range r.Streams {
		fmt.Fprintf(&b, "rtp=%s rtcp=%s mux=%t\n", s.RTP, s.RTCP, s.Mux)
		if l.Profile == RTP && l.Local.Crypto != nil {
			keyingText(&b, l, s)
		}
	}
	return b.String()
}

// keyingText is what was agreed on how an RTP leg's stream is protected.
func keyingText(b *strings.Builder, l Leg, s RemoteStream) {
	fmt.Fprintf(b, "keying=%s ptime=%d\n", s.Keying, s.Ptime)
	if l.Before != nil {
		fmt.Fprintf(b, "rekeyed=%t\n", l.Rekeyed(*l.Before))
	}
	if s.Keying == SDES {
		fmt.Fprintf(b, "send %s\nreceive %s mki=%x\n", s.Send.line(), s.Receive.line(), s.Receive.MKI)
	}
	if s.Keying == DTLS {
		fmt.Fprintf(b, "peer is %s, tls-id=%s\n", s.Setup, s.TLSID)
	}
	for _, f := range s.Fingerprints {
		fmt.Fprintf(b, "fingerprint %s %s\n", f.Algorithm, f.Value)
	}
	if s.Ufrag != "" {
		fmt.Fprintf(b, "ice %s %s lite=%t controlling=%t\n", s.Ufrag, s.Password, s.ICELite, s.Controlling)
	}
	for _, c := range s.Candidates {
		fmt.Fprintf(b, "candidate %d %s %s %d\n", c.Component, c.Transport, c.Addr, c.Priority)
	}
}

// wordedLeg is a leg with keys of every kind ("keys") and a policy by its words.
func wordedLeg(t *testing.T, l Leg, words []string) Leg {
	t.Helper()
	for _, word := range words {
		switch word {
		case "keys":
			l.Local = withKeys(l.Local, byte('a'+(l.SessionID-4242)), 1)
		case "sdes":
			l.Policy.Keying = SDES
		case "dtls":
			l.Policy.Keying = DTLS
		case "optional":
			l.Policy.Optional = true
		case "required":
			l.Policy.Required = true
		case "ice":
			l.Policy.ICE = true
		case "video":
			l.Policy.Video = true
			l.Local = withPorts(l.Local)
		case "transcodes":
			l.Policy.Transcode = true
		case "ports":
			l.Local = withPorts(l.Local)
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return l
}

// withPorts gives an RTP leg a port in each slot.
func withPorts(local Local) Local {
	if p := local.Ports; len(p) == 1 {
		local.Ports = []uint16{p[0], p[0] + 2, p[0] + 4}
	}
	return local
}

// withKeys gives an RTP leg's Local what SDES, DTLS and ICE need.
func withKeys(local Local, name byte, generation int) Local {
	from := testLocal(name, generation)
	local.Ufrag, local.Password, local.Fingerprint = from.Ufrag, from.Password, from.Fingerprint
	local.Crypto = make([][]Crypto, Image)
	for slot := range local.Crypto {
		for _, s := range suites() {
			key := []byte(strings.Repeat(fmt.Sprintf("%c%d%d", name, generation, slot), s.size)[:s.size])
			local.Crypto[slot] = append(local.Crypto[slot], Crypto{Suite: s.name, Key: key})
		}
	}
	return local
}
