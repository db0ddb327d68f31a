package guard

import (
	"bytes"
	"net/netip"
)

// Scanners are parts of the User-Agents of tools that look for SIP servers, and for what answers on any port.
var scannerAgents = []string{
	"friendly-scanner", "friendly-request", "sipvicious", "sipcli", "sundayddr", "vaxsipuseragent", "vaxipuseragent", "pplsip", "sip-scan",
	"sipscan", "siparmyknife", "sivus", "smap ", "iwar", "zgrab", "masscan", "nmap",
}

// ScannerAgents is the list of parts of a User-Agent that give scanners away, in the absence of another.
func ScannerAgents() []string { return append([]string(nil), scannerAgents...) }

// longestAgent is how much of a User-Agent is looked at.
const longestAgent = 256

func lowered(list []string) (out [][]byte) {
	for _, s := range list {
		out = append(out, bytes.ToLower([]byte(s)))
	}
	return out
}

// scans says whether a User-Agent is a scanner's.
func (s *settings) scans(agent []byte) bool {
	var buf [longestAgent]byte
	low := buf[:copy(buf[:], agent)]
	for i, c := range low {
		if 'A' <= c && c <= 'Z' {
			low[i] = c | 0x20
		}
	}
	for _, part := range s.scanners {
		if bytes.Contains(low, part) {
			return true
		}
	}
	return false
}

// Page says whether an HTTP request is answered: not with a scanner's User-Agent, whose address is banned.
func (g *Guard) Page(from netip.Addr, agent string) bool {
	cfg := g.cfg.Load()
	if len(agent) > longestAgent {
		agent = agent[:longestAgent]
	}
	if len(cfg.scanners) == 0 || !cfg.scans([]byte(agent)) || g.free(cfg, from) {
		return true
	}
	g.scanned(cfg, from, HTTP)
	return false
}

// scanned is what becomes of a scanner.
func (g *Guard) scanned(cfg *settings, from netip.Addr, transport string) {
	g.counts.refuse(Scanner)
	g.say("scanner", from, transport, "")
	if transport != UDP || cfg.Bans.UDP {
		if !g.bans.holds(g.key(from, 0), g.now().UnixNano()) {
			g.ban(from, "", Scanning, transport, 0)
		}
	}
}
